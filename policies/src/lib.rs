//! Whether a request is allowed: the Cedar schema, the policies that always hold, those that hold by default, and
//! [`decide`]; whether an approval counts: [`decide_approval`]; and what administrators may do: [`admin`].
//!
//! Pure: no I/O and no clock, so the same policies and facts always give the same decision. What is not permitted
//! is refused, and so is everything about which a policy cannot be evaluated.

pub mod admin;
mod approval;
mod body;
mod comparison;
mod decision;
mod entities;
mod error;
mod explanation;
mod facts;
mod library;
mod needs;
mod policy_set;
mod question;
mod statements;
mod terms;

pub use admin::Role;
pub use approval::{ApprovalFacts, ApproverFacts, decide_approval};
pub use decision::{Decision, decide};
pub use error::{PolicyError, Problem};
pub use explanation::{Demand, Reason};
pub use facts::{Action, Circumstances, DeviceFacts, Facts, LocalTime, RecordFacts, TenantFacts, UserFacts};
pub use library::{ReadyPolicies, library};
pub use needs::{Given, Needs, Notify};
pub use policy_set::PolicySet;
