//! Whether somebody may approve a restore.

use crate::decision::{Decision, decided};
use crate::question::Question;
use crate::{Circumstances, DeviceFacts, PolicySet, Role, TenantFacts, UserFacts};

/// Everything a policy may know of an approval.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalFacts<'a> {
    /// The customer whose keys these are.
    pub tenant: TenantFacts<'a>,
    /// Whose restore it is.
    pub user: UserFacts<'a>,
    /// The device that asked for it.
    pub device: DeviceFacts<'a>,
    /// Of all its records.
    pub kinds: &'a [&'a str],
    /// Who would approve.
    pub approver: ApproverFacts<'a>,
    /// When and from where the approval comes.
    pub circumstances: Circumstances<'a>,
}

/// Who would approve.
#[derive(Debug, Clone, Copy)]
pub enum ApproverFacts<'a> {
    /// Somebody with a passkey.
    Person {
        /// The administrator's id.
        id: &'a str,
        /// The person's own account in the tenant, so that nobody approves for themselves; `None` where there is none.
        account: Option<UserFacts<'a>>,
        /// What the person is for this tenant.
        roles: &'a [Role],
    },
    /// A device, by its own key.
    Device(DeviceFacts<'a>),
}

/// Decides whether this party may approve this restore. How many must is in the [`Needs`](crate::Needs) of the restore.
///
/// Refused whatever the tenant's policies say: who has neither the role approver nor break-glass, the requester's own
/// account, the device that asks, devices of others, and whatever is not active.
#[must_use]
pub fn decide_approval(policies: &PolicySet, facts: &ApprovalFacts) -> Decision {
    decided(policies, Question::of_approval(facts))
}
