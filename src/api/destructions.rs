//! Crypto-shredding.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// An order to destroy what a KEK wrapped. Another administrator confirms it, or it runs out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Destruction {
    /// Its id.
    pub id: Uuid,
    /// The KEK.
    pub kek: Uuid,
    /// Why.
    pub reason: String,
    /// Who asked, as events call them.
    pub requested_by: String,
    /// `requested`, `confirmed` or `cancelled`.
    pub state: String,
    /// Records that nothing would open any more, when it was asked for.
    pub lost: u64,
    /// Records that another KEK would still open.
    pub kept: u64,
    /// It can be confirmed before this time.
    pub expires_at: i64,
    /// Where it was just asked for: whether the tenant's new records go under this KEK. Then nothing can be wrapped after
    /// it, until the tenant is given others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wraps_new_records: Option<bool>,
}

/// Confirms a destruction. Nothing can undo this.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmDestruction {
    /// How many records will be lost: the count that was shown.
    pub records: u64,
}

/// What a KEK wrapped is gone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Destroyed {
    /// Records that nothing opens any more.
    pub lost: u64,
    /// Records that another KEK still opens.
    pub kept: u64,
    /// Nothing under the KEK was or will be released after this time.
    pub effective_at: i64,
    /// Open restores that ended with it.
    pub restores_ended: u64,
}
