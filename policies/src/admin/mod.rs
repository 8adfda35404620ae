//! What administrators may do. Who has which [`Role`] is the caller's to know; what a role may do is fixed here, in
//! Cedar (`admin/roles.cedar`), and evaluated once.
//!
//! Roles only add: whoever has two may do what either may. What must be kept apart is kept apart by giving the roles to
//! different people; being approver for a restore of one's own is refused by the policies of the restore.

mod act;
mod role;
mod roles;
mod words;

pub use act::{Act, UnknownAct};
pub use role::{Role, UnknownRole};
pub use roles::may;
