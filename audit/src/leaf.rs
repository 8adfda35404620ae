//! Leaves: the issuer-signed JWT of an SD-JWT (RFC 9901), without its disclosures.
//!
//! That byte string is what the tree hashes and the log keeps; it is never serialised again.

mod claims;
mod key;
mod read;

pub use key::{EventKey, EventPublicKey, InvalidSeed};
pub use read::{LeafError, Opened, disclosed_field, open, read};

use crate::digest::Encoded;
use crate::event::{Event, Field, Kind};
use crate::{Hash, Origin, tree};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::{Claims, Withheld};
use std::borrow::Cow;
use uuid::{Builder, Uuid};

/// Longest leaf in bytes.
pub const MAX_LEAF: usize = 16 * 1024;

/// What the broker adds to every event.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The log the event goes to (`iss`).
    pub origin: Origin,
    /// This run of the broker (`boot`): tells a clock that went backwards from a restart.
    pub boot: Uuid,
    /// Unix time in milliseconds; `iat` carries its seconds, `jti` all of it.
    pub at_ms: u64,
}

/// An event as the log keeps it.
#[derive(Debug, Clone)]
pub struct SignedEvent {
    /// The event's UUIDv7.
    pub jti: Uuid,
    /// What happened.
    pub kind: Kind,
    /// The signed JWT: ASCII, at most [`MAX_LEAF`] bytes.
    pub leaf: String,
    /// One disclosure (RFC 9901, section 4.2.1) for each field that is present.
    pub disclosures: Vec<String>,
}

impl SignedEvent {
    /// The leaf's hash in the tree (RFC 6962, section 2.1).
    #[must_use]
    pub fn hash(&self) -> Hash {
        tree::leaf_hash(self.leaf.as_bytes())
    }
}

impl Event {
    /// Signs the event. Each call draws its own `jti`, salts and decoys.
    ///
    /// # Panics
    /// When the system has no randomness: nothing may go on without it.
    #[must_use]
    pub fn sign(&self, stamp: &Stamp, key: &EventKey) -> SignedEvent {
        let entropy = Entropy::draw();
        let jti = Builder::from_unix_timestamp_millis(stamp.at_ms, &entropy.jti()).into_uuid();
        let (disclosures, digests) = self.withhold(&entropy);
        let leaf = key.sign(&self.claims(stamp, jti, digests));
        debug_assert!(leaf.len() <= MAX_LEAF);
        SignedEvent { jti, kind: self.kind, leaf, disclosures }
    }

    fn withhold(&self, entropy: &Entropy) -> (Vec<String>, [Encoded; Field::ALL.len()]) {
        let mut disclosures = Vec::with_capacity(Field::ALL.len());
        let mut json = Vec::with_capacity(128);
        let digests = Field::ALL.map(|field| match self.text(field) {
            None => Encoded::new(entropy.of(field)),
            Some(text) => {
                let disclosure = disclose(&mut json, &entropy.salt(field), field, text);
                let digest = Encoded::sha256_of(disclosure.as_bytes());
                disclosures.push(disclosure);
                digest
            }
        });
        (disclosures, digests)
    }

    fn claims<'a>(&'a self, stamp: &'a Stamp, jti: Uuid, digests: [Encoded; Field::ALL.len()]) -> Claims<'a> {
        let [actor, device, user, ip, agent, record, reason, ticket, provider_ref, policy] = digests.map(Withheld::new);
        Claims {
            iss: Cow::Borrowed(stamp.origin.as_str()),
            jti,
            iat: stamp.at_ms / 1000,
            boot: stamp.boot,
            v: claims::VERSION,
            evt: self.kind,
            out: Cow::Borrowed(&self.outcome),
            kek: self.kek.as_ref().map(Cow::Borrowed),
            prov: self.provider.as_deref().map(Cow::Borrowed),
            cor: self.correlation,
            cfg: self.policy_digest.as_ref().map(Encoded::new),
            exposure: self.exposure,
            event_key: self.event_key.as_ref().map(EventPublicKey::jwk),
            actor,
            device,
            user,
            ip,
            agent,
            record,
            reason,
            ticket,
            provider_ref,
            policy,
            sd_alg: claims::SdAlg::Sha256,
        }
    }
}

/// `["<salt>","<field>","<text>"]` in base64url; `json` is scratch space.
fn disclose(json: &mut Vec<u8>, salt: &[u8], field: Field, text: &str) -> String {
    json.clear();
    let salt = URL_SAFE_NO_PAD.encode(salt);
    serde_json::to_writer(&mut *json, &(salt, field.as_str(), text)).expect("invariant: strings are JSON");
    URL_SAFE_NO_PAD.encode(json)
}

const JTI_LEN: usize = 10;

/// All randomness of one leaf, drawn in one call: the `jti`'s, and 32 bytes a field, of which a salt takes 16 and a
/// decoy all, since a decoy must look like any other SHA-256.
struct Entropy([u8; JTI_LEN + 32 * Field::ALL.len()]);

impl Entropy {
    fn draw() -> Self {
        let mut bytes = [0; JTI_LEN + 32 * Field::ALL.len()];
        rand::fill(&mut bytes).expect("invariant: the system random number generator works");
        Self(bytes)
    }

    fn jti(&self) -> [u8; JTI_LEN] {
        std::array::from_fn(|i| self.0[i])
    }

    fn of(&self, field: Field) -> &[u8; 32] {
        self.0[JTI_LEN..].as_chunks().0.get(field as usize).expect("invariant: 32 bytes are drawn for each field")
    }

    fn salt(&self, field: Field) -> [u8; 16] {
        std::array::from_fn(|i| self.of(field)[i])
    }
}
