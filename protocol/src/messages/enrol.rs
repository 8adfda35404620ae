use super::restore::UserRestore;
use crate::{
    encoding::Base64Url,
    enrolment::EnrolmentCode,
    names::{IngressId, TenantId, Text, UserId},
    sealing::SealingKey,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `POST /v1/tenants/{t}/devices`, signed with the key that is to be enrolled (`jwk`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Enrol {
    /// The one-time code that an administrator handed out.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: EnrolmentCode,
    /// What the user calls the device.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Text<128>,
    /// Operating system and version.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub platform: Text<64>,
}

/// The answer to [`Enrol`]. The device pins `log` and takes nothing from anybody who cannot prove it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Enrolled {
    /// The device's id: the `kid` of all its further requests.
    pub device: Uuid,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The user it belongs to.
    pub user: UserId,
    /// Whether it may act yet.
    pub state: DeviceState,
    /// The keys of the tenant's log.
    pub log: LogKeys,
    /// The key to seal to.
    pub ingress: IngressKey,
    /// SHA-256 digest of the policy in force.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub policy: Base64Url<[u8; 32]>,
}

/// The answer to a POST-as-GET of `/v1/tenants/{t}/devices/{d}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceStatus {
    /// The device's id.
    pub device: Uuid,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The user it belongs to.
    pub user: UserId,
    /// What the user calls it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Text<128>,
    /// Operating system and version.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub platform: Text<64>,
    /// Whether it may act.
    pub state: DeviceState,
    /// When it enrolled.
    pub enrolled_at: u64,
    /// The key to seal to from now on.
    pub ingress: IngressKey,
    /// SHA-256 digest of the policy in force.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub policy: Base64Url<[u8; 32]>,
    /// The restores of its user that are not over, whichever device asked: the first 32.
    #[serde(default)]
    pub restores: Vec<UserRestore>,
}

/// Whether a device may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeviceState {
    /// Waits for an approval.
    Pending,
    /// May act.
    Active,
    /// May not act for now.
    Suspended,
    /// May never act again.
    Revoked,
}

/// Who may sign the tenant's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogKeys {
    /// The log's origin, `<host>/<tenant>`.
    pub origin: String,
    /// Verifier keys (C2SP signed-note), each good by itself.
    pub vkeys: Vec<String>,
}

/// The tenant's ingress key, which changes every 30 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IngressKey {
    /// Its id, to be named in a wrap.
    pub id: IngressId,
    /// The X-Wing public key.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub key: Base64Url<SealingKey>,
    /// The log key's signature for both, a C2SP signed note. A device seals to no key without it.
    pub endorsement: String,
}
