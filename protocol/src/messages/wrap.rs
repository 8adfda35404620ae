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
    /// One more than the newest of this kind; the first is 1.
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

#[cfg(test)]
mod tests {
    use super::{Bundle, Wrap};
    use crate::{
        encoding::{Base64Url, from_json},
        jws::{DeviceKey, MAX_BODY, Signer},
        record::MAX_BUNDLE,
        sealing::{SEALED_LEN, Sealed},
    };
    use uuid::Uuid;

    #[test]
    fn the_largest_wrap_fits_a_request() {
        let wrap = Wrap {
            record: Uuid::nil(),
            kind: "k".repeat(32).parse().unwrap(),
            generation: u64::MAX,
            suite: u16::MAX,
            ingress: "i".repeat(64).parse().unwrap(),
            sealed: Base64Url(Sealed::try_from(vec![0; SEALED_LEN]).unwrap()),
            commitment: Base64Url([0; 32]),
            bundle: Base64Url(Bundle::try_from(vec![0; MAX_BUNDLE]).unwrap()),
        };
        let json = serde_json::to_vec(&wrap).unwrap();
        assert_eq!(from_json::<Wrap>(&json).unwrap(), wrap);
        let signer = Signer::Kid(Uuid::nil().to_string());
        let body = DeviceKey::generate_p256().sign_request(&signer, &"n".repeat(128), &"u".repeat(2048), &json);
        assert!(body.len() <= MAX_BODY, "{} bytes", body.len());
        assert!(Bundle::try_from(vec![0; MAX_BUNDLE + 1]).is_err());
    }
}
