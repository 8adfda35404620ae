use super::Restore;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Decides on a restore.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// `approve`, or `reject`, which ends it at once.
    #[schema(pattern = "^(approve|reject)$")]
    pub decision: String,
}

/// What a restore is about, why it waits, and who has decided what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Approvals {
    /// The restore.
    pub restore: Restore,
    /// What the device that asked calls itself.
    pub device_name: String,
    /// What it says it runs on.
    pub platform: String,
    /// Whether its key is proven to live in hardware.
    pub attested: bool,
    /// What was asked for, such as `identity`.
    pub kinds: Vec<String>,
    /// What approvers sign, in base64url.
    pub transcript: String,
    /// When it was asked for.
    pub asked_at: i64,
    /// When the person had logged in at the company's issuer, as the device proved when it asked; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_at: Option<i64>,
    /// Whether the policies in force now let it through, once their demands are met.
    pub allowed: bool,
    /// The policies that forbid it now; none where it is allowed, or where nothing permits it.
    pub forbidden_by: Vec<PolicyName>,
    /// What they demand; nothing where they refuse it.
    pub demands: Vec<Demand>,
    /// The console's page about it: it takes a passkey to decide.
    pub page: String,
    /// All decisions, the oldest first.
    pub decisions: Vec<Decided>,
}

/// One thing that has to happen before the release.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Demand {
    /// `approvals`: so many people approve; `own_device`: another device of the user approves; `delay`: so many seconds pass.
    pub demand: String,
    /// How much of it.
    pub needed: u64,
    /// How much of that is missing now.
    pub missing: u64,
    /// Whether the approval of another device of the user counts as one of the people's.
    pub own_device_counts: bool,
    /// When time alone will have met it; absent where it is not about time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met_at: Option<i64>,
    /// The policies that want it.
    pub policies: Vec<PolicyName>,
}

/// A policy, as people know it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PolicyName {
    /// Its `@id`.
    pub id: String,
    /// Its `@description`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One decision on a restore.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Decided {
    /// The administrator's id, or the device's.
    pub approver: Uuid,
    /// What events call them: `admin:` and the name, or `device:` and the id.
    pub name: String,
    /// `approve` or `reject`.
    pub decision: String,
    /// When.
    pub given_at: i64,
    /// Whether it is an approval that counts: the signature is right, and who made it may approve still.
    pub counts: bool,
}
