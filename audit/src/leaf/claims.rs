use super::EventPublicKey;
use crate::digest::Encoded;
use crate::event::{Exposure, Field, KekRef, Kind, Outcome};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

/// Version of the leaf's format (`v`).
pub(super) const VERSION: u8 = 1;

/// The payload of a leaf, in the order in which it is written. Readers accept these members and no others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims<'a> {
    #[serde(borrow)]
    pub(super) iss: Cow<'a, str>,
    pub(super) jti: Uuid,
    pub(super) iat: u64,
    pub(super) boot: Uuid,
    pub(super) v: u8,
    pub(super) evt: Kind,
    pub(super) out: Cow<'a, Outcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kek: Option<Cow<'a, KekRef>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prov: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cor: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cfg: Option<Encoded>,
    pub(super) exposure: Exposure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_key: Option<Jwk>,
    pub(super) actor: Withheld,
    pub(super) device: Withheld,
    pub(super) user: Withheld,
    pub(super) ip: Withheld,
    pub(super) agent: Withheld,
    pub(super) record: Withheld,
    pub(super) reason: Withheld,
    pub(super) ticket: Withheld,
    pub(super) provider_ref: Withheld,
    pub(super) policy: Withheld,
    #[serde(rename = "_sd_alg")]
    pub(super) sd_alg: SdAlg,
}

impl Claims<'_> {
    /// The digest under each field, in the order of [`Field::ALL`].
    pub(super) fn digests(&self) -> [Encoded; Field::ALL.len()] {
        [
            &self.actor,
            &self.device,
            &self.user,
            &self.ip,
            &self.agent,
            &self.record,
            &self.reason,
            &self.ticket,
            &self.provider_ref,
            &self.policy,
        ]
        .map(|withheld| withheld.digest[0])
    }
}

/// A disclosable field: exactly one digest, of a disclosure or a decoy.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Withheld {
    #[serde(rename = "_sd")]
    digest: [Encoded; 1],
}

impl Withheld {
    pub(super) fn new(digest: Encoded) -> Self {
        Self { digest: [digest] }
    }
}

/// The digest algorithm (RFC 9901, section 4.1.1); there is one.
#[derive(Serialize, Deserialize)]
pub(super) enum SdAlg {
    #[serde(rename = "sha-256")]
    Sha256,
}

/// An Ed25519 public key as a JWK (RFC 8037, section 2): its required members in lexical order, as the thumbprint of
/// RFC 7638 hashes them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwk {
    crv: Curve,
    kty: KeyType,
    x: Encoded,
}

impl Jwk {
    pub(super) fn new(x: Encoded) -> Self {
        Self { crv: Curve::Ed25519, kty: KeyType::Okp, x }
    }

    pub(super) fn key(&self) -> EventPublicKey {
        EventPublicKey::new(self.x.bytes())
    }
}

#[derive(Serialize, Deserialize)]
enum Curve {
    Ed25519,
}

#[derive(Serialize, Deserialize)]
enum KeyType {
    #[serde(rename = "OKP")]
    Okp,
}

/// The JOSE header of a leaf.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) alg: Algorithm,
    pub(super) typ: MediaType,
    pub(super) kid: Encoded,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Algorithm {
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// The explicit type (RFC 9901, section 9.11): no other JWT of the broker is taken for a leaf.
#[derive(Serialize, Deserialize)]
pub(super) enum MediaType {
    #[serde(rename = "keyfold-event+sd-jwt")]
    Event,
}
