//! Whether a request is allowed: the Cedar schema, the default policies, and [`decide`].
//!
//! Pure: no I/O and no clock, so the same policies and facts always give the same decision. What is not permitted
//! is refused, and so is everything about which a policy cannot be evaluated.

mod decision;
mod error;
mod facts;
mod needs;
mod policy_set;
mod question;
mod statements;

pub use decision::{Decision, decide};
pub use error::{PolicyError, Problem};
pub use facts::{Action, DeviceFacts, Facts, RecordFacts, TenantFacts, UserFacts};
pub use needs::Needs;
pub use policy_set::PolicySet;
