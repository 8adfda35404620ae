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
    /// Whether its canary opens; absent where the KEK is not in use, or was not tested since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<KekHealth>,
    /// When it was registered.
    pub created_at: i64,
}

/// What the last tests of a KEK say.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KekHealth {
    /// `usable` or `failing`.
    pub state: String,
    /// Since when.
    pub since: i64,
    /// Why the last test failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A KEK, and what lies under it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KekDetails {
    /// The KEK.
    pub kek: Kek,
    /// What lies under it.
    pub holdings: Vec<KekHoldings>,
    /// Records under an older version: a rewrap brings them to the newest.
    pub stale: u64,
}

/// Records that have a wrap under a KEK, of one kind and version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KekHoldings {
    /// `whole`, `standby`, or a share: `first` or `second`.
    pub slot: String,
    /// The KEK's version.
    pub version: u64,
    /// How many.
    pub records: u64,
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
