//! A tenant's policies.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A version of a tenant's policies.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyVersion {
    /// Counted from 1.
    pub version: u64,
    /// `draft`, `proposed`, `scheduled`, `active`, `retired` or `withdrawn`.
    pub state: String,
    /// What events call it: SHA-256 of schema and full text, as base64url.
    pub digest: String,
    /// What its author says of it.
    pub note: String,
    /// Who wrote it.
    pub made_by: String,
    /// Who wants it in force.
    pub proposed_by: Option<String>,
    /// Who else agreed.
    pub activated_by: Option<String>,
    /// The version whose place it takes; none: the defaults.
    pub replaces: Option<u64>,
    /// The version in force that it undoes, where it is a roll back.
    pub undoes: Option<u64>,
    /// Unix milliseconds: since when it is in force, or from when it will be.
    pub effective_at: Option<i64>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// The `cor` of all events about it.
    pub cor: Uuid,
    /// The tenant's own text, in Cedar; left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The policies in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyInForce {
    /// The tenant's version; none: the defaults.
    pub version: Option<u64>,
    /// What events call it.
    pub digest: String,
    /// The tenant's own text, or that of the defaults.
    pub text: String,
    /// What is part of every set, before the text.
    pub always: String,
    /// The Cedar schema that texts are written for.
    pub schema: String,
}

/// Ready policies, to begin with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadyPolicies {
    /// Its name.
    pub name: String,
    /// What it is good for, and whether it stands beside the defaults.
    pub description: String,
    /// The text.
    pub text: String,
}

/// The library of ready policies.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyLibrary {
    /// Each.
    pub items: Vec<ReadyPolicies>,
}

/// A text to be kept as a draft.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftPolicy {
    /// The whole text, in Cedar; or what stands before the texts of `library`.
    #[serde(default)]
    pub text: Option<String>,
    /// Names of ready policies, which are appended.
    #[serde(default)]
    pub library: Vec<String>,
    /// What its author says of it.
    #[schema(min_length = 1, max_length = 512, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub note: String,
}

/// A text to be read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidatePolicy {
    /// In Cedar.
    pub text: String,
}

/// What a text would mean.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyValidated {
    /// What events would call it; none where the text is wrong.
    pub digest: Option<String>,
    /// Whether it is certainly nowhere weaker than what is in force: it would take effect at once.
    pub nowhere_weaker: bool,
    /// The first mistake.
    pub mistake: Option<PolicyMistake>,
}

/// What is wrong with a text, and where.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyMistake {
    /// The `@id` of the policy, if it has one that can be read.
    pub policy: Option<String>,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// In a sentence.
    pub message: String,
}

/// What the caller has read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySeen {
    /// The version's digest, as base64url.
    pub digest: String,
}

/// A text to be tried on the past.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TryPolicy {
    /// In Cedar; or a `version`.
    #[serde(default)]
    pub text: Option<String>,
    /// One of the tenant's versions.
    #[serde(default)]
    pub version: Option<u64>,
    /// The restores of so many days, 1 to 90.
    #[schema(minimum = 1, maximum = 90)]
    pub days: u16,
}

/// What would have been otherwise than under the policies that are in force now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyTried {
    /// Restores that were looked at.
    pub looked_at: u64,
    /// Whether those were all of the time.
    pub complete: bool,
    /// Those that would have been refused.
    pub refused: u64,
    /// Those that would have needed more.
    pub needs_more: u64,
    /// Those that would have needed less.
    pub needs_less: u64,
    /// Those that would have been allowed, and are not under the policies in force.
    pub allowed: u64,
    /// The first 100 of them.
    pub changed: Vec<RestoreTried>,
}

/// A restore that would have been otherwise.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RestoreTried {
    /// The restore.
    pub restore: Uuid,
    /// Whose.
    pub user: String,
    /// The device that asked.
    pub device: Uuid,
    /// Unix milliseconds.
    pub asked_at: i64,
    /// What became of it.
    pub state: String,
    /// What the policies in force say of it.
    pub now: PolicyDecision,
    /// What the text says.
    pub then: PolicyDecision,
}

/// What policies say of a restore.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyDecision {
    /// Whether it is allowed, once its needs are met.
    pub allowed: bool,
    /// The policies that decide.
    pub policies: Vec<String>,
    /// People who must approve.
    pub approvals: u32,
    /// Another device of the user must agree.
    pub own_device: bool,
    /// Seconds that must pass.
    pub delay_seconds: u64,
}
