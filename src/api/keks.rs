//! KEKs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks to register a KEK; it is tried with a canary first. The first of a tenant wraps from now on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterKek {
    /// A provider of the configuration file.
    pub provider: String,
    /// What that provider calls the key.
    pub key: String,
}

/// A customer's key-encryption key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Kek {
    /// Its id; events name it by this.
    pub id: Uuid,
    /// The provider that holds it.
    pub provider: String,
    /// What the provider calls it.
    pub key: String,
    /// Counted from 1.
    pub version: u64,
    /// `active`, `disabled`, `revoked` or `destroyed`.
    pub state: String,
    /// When it was registered.
    pub created_at: i64,
}

/// What became of each call that a KEK needs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    /// Whether the key can be registered as it is.
    pub usable: bool,
    /// The calls, in the order in which they were tried.
    pub steps: Vec<ProbeStep>,
}

/// What became of one call.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProbeStep {
    /// `inspect`, `wrap` or `unwrap`.
    pub call: String,
    /// `ok`, `not_tried`, or the code of the refusal.
    pub outcome: String,
    /// What the vendor calls the permission that it needs.
    pub permission: String,
}

/// Asks to take a new version of a KEK into use, which the customer has made at the vendor.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKek {
    /// Rotate although the vendor shows no versions. Where it shows some, they must differ.
    #[serde(default)]
    pub force: bool,
}

/// Asks that records be wrapped under these KEKs from now on. Those that exist stay as they are until they are rewrapped.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Protect {
    /// The KEK.
    pub kek: Uuid,
    /// Another that is needed beside it to open a record. Not with `standby_kek`.
    #[serde(default)]
    pub second_kek: Option<Uuid>,
    /// Another that opens a record when the first cannot be used or reached.
    #[serde(default)]
    pub standby_kek: Option<Uuid>,
}
