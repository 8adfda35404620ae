use crate::{
    encoding::{Base64Url, WrongLength},
    names::{IngressId, Kind},
    record::MAX_BUNDLE,
    sealing::Sealed,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// `POST /v1/tenants/{t}/records`: one record to keep. Sending the same again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Wrap {
    /// The record's id, a new random UUID that the device chose.
    pub record: Uuid,
    /// What sort of key.
    pub kind: Kind,
    /// One more than the newest of this kind, from 1 to [`crate::record::MAX_GENERATION`].
    pub generation: u64,
    /// [`crate::record::SUITE`].
    pub suite: u16,
    /// The ingress key that `sealed` is sealed to.
    pub ingress: IngressId,
    /// The payload, sealed with [`crate::sealing::Info::wrap`].
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub sealed: Base64Url<Sealed>,
    /// The key schedule's commitment.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub commitment: Base64Url<[u8; 32]>,
    /// The encrypted key material.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub bundle: Base64Url<Bundle>,
}

/// An encrypted bundle of 1 to [`MAX_BUNDLE`] bytes; only devices look inside.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle(Vec<u8>);

impl AsRef<[u8]> for Bundle {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Bundle {
    type Error = WrongLength;

    fn try_from(bytes: Vec<u8>) -> Result<Self, WrongLength> {
        if (1..=MAX_BUNDLE).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(WrongLength) }
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} bytes)", self.0.len())
    }
}

/// The answer to [`Wrap`]: the record is kept, and the log says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Wrapped {
    /// The record's id.
    pub record: Uuid,
    /// Its generation.
    pub generation: u64,
    /// C2SP tlog-proof that `leaf` is in the tenant's log.
    pub receipt: String,
    /// The `record.wrapped` event, an SD-JWT (RFC 9901) whose `cor` is the record's id.
    pub leaf: String,
}

/// A record as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordEntry {
    /// Its id.
    pub record: Uuid,
    /// What sort of key.
    pub kind: Kind,
    /// Which of its kind.
    pub generation: u64,
    /// How it is protected.
    pub suite: u16,
    /// The device that wrapped it.
    pub device: Uuid,
    /// When.
    pub wrapped_at: u64,
}

/// The answer to a POST-as-GET of `/v1/tenants/{t}/devices/{d}/records`: all records of the device's user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordList {
    /// By kind, newest generation first.
    pub records: Vec<RecordEntry>,
}
