use crate::{Policy, Restore, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What people are told. As JSON it is `{"type", "data"}`, as webhooks have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Notice {
    /// To the user: a device has asked for their keys.
    #[serde(rename = "restore.requested")]
    RestoreRequested {
        /// What was asked.
        restore: Restore,
        /// The page where it can be stopped.
        veto: String,
    },
    /// To approvers: a restore waits for them.
    #[serde(rename = "restore.approval_wanted")]
    ApprovalWanted {
        /// What was asked.
        restore: Restore,
        /// So many approvals are missing.
        approvals: u32,
        /// The console's page about it.
        page: String,
    },
    /// To the user: so many people as policy wants have approved.
    #[serde(rename = "restore.approved")]
    RestoreApproved {
        /// What was asked.
        restore: Restore,
    },
    /// To the user: an approver has said no.
    #[serde(rename = "restore.rejected")]
    RestoreRejected {
        /// What was asked.
        restore: Restore,
    },
    /// To the user and to approvers: it was stopped in time.
    #[serde(rename = "restore.vetoed")]
    RestoreVetoed {
        /// What was asked.
        restore: Restore,
    },
    /// To the user: the keys went out to the device.
    #[serde(rename = "restore.released")]
    RestoreReleased {
        /// What was asked.
        restore: Restore,
    },
    /// To the user: nobody acted in time.
    #[serde(rename = "restore.expired")]
    RestoreExpired {
        /// What was asked.
        restore: Restore,
    },
    /// To administrators: none of the tenant's restores is released.
    #[serde(rename = "tenant.frozen")]
    TenantFrozen {
        /// More than so many were asked for within an hour; nothing where an administrator has frozen them.
        more_than: Option<u32>,
        /// The console's page where they can be let through again.
        page: String,
    },
    /// To the address that was: notices go elsewhere from now on.
    #[serde(rename = "user.email_changed")]
    EmailChanged {
        /// Whose notices.
        user: String,
    },
    /// To the user and to administrators: none of the user's restores is released.
    #[serde(rename = "user.locked")]
    UserLocked {
        /// Who.
        user: String,
        /// After so many failures; nothing where an administrator has locked them.
        failures: Option<u32>,
        /// The console's page about them.
        page: String,
    },
    /// To everyone: a key that is kept for emergencies was used.
    #[serde(rename = "break_glass.used")]
    BreakGlassUsed {
        /// Which.
        key: String,
        /// What was done with it.
        act: String,
        /// The console's page about it.
        page: String,
    },
    /// To those who may activate it: somebody wants other policies.
    #[serde(rename = "policy.proposed")]
    PolicyProposed {
        /// Which.
        policy: Policy,
    },
    /// To administrators: other policies will be in force.
    #[serde(rename = "policy.scheduled")]
    PolicyScheduled {
        /// Which.
        policy: Policy,
        /// When.
        takes_effect_at: Time,
    },
    /// To administrators: there is another one.
    #[serde(rename = "admin.appointed")]
    AdminAppointed {
        /// Who.
        admin: String,
        /// As what.
        role: String,
        /// By whom.
        by: String,
        /// The console's page about administrators.
        page: String,
    },
}

impl Notice {
    /// The restore that it tells of, where it is about one.
    #[must_use]
    pub fn restore(&self) -> Option<Uuid> {
        match self {
            Self::RestoreRequested { restore, .. }
            | Self::ApprovalWanted { restore, .. }
            | Self::RestoreApproved { restore }
            | Self::RestoreRejected { restore }
            | Self::RestoreVetoed { restore }
            | Self::RestoreReleased { restore }
            | Self::RestoreExpired { restore } => Some(restore.restore),
            Self::TenantFrozen { .. }
            | Self::EmailChanged { .. }
            | Self::UserLocked { .. }
            | Self::BreakGlassUsed { .. }
            | Self::PolicyProposed { .. }
            | Self::PolicyScheduled { .. }
            | Self::AdminAppointed { .. } => None,
        }
    }
}
