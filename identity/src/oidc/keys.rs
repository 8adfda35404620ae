//! The issuer's keys, kept between logins.

use super::{Algorithm, OidcError, endpoint};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use tokio::sync::Mutex;
use url::Url;

/// A key that the issuer withdraws is believed no longer than this, in milliseconds.
const LIFETIME: i64 = 60 * 60 * 1000;
/// Tokens that name unknown keys make the issuer be asked no more often than this, in milliseconds.
const PAUSE: i64 = 60 * 1000;

#[derive(Debug)]
pub(super) struct Keys {
    http: reqwest::Client,
    address: Url,
    cache: Mutex<Cache>,
}

#[derive(Debug)]
struct Cache {
    set: JwkSet,
    fetched: i64,
    asked: i64,
}

impl Keys {
    pub(super) async fn fetch(http: &reqwest::Client, address: &Url, now: i64) -> Result<Self, OidcError> {
        let set = endpoint::read(http.get(address.clone())).await?;
        let cache = Mutex::new(Cache { set, fetched: now, asked: now });
        Ok(Self { http: http.clone(), address: address.clone(), cache })
    }

    /// The key with this id, asked for anew where it is unknown or was read long ago.
    pub(super) async fn find(&self, id: &str, now: i64) -> Result<Jwk, OidcError> {
        let mut cache = self.cache.lock().await;
        if now - cache.fetched < LIFETIME
            && let Some(key) = cache.set.find(id)
        {
            return Ok(key.clone());
        }
        if now - cache.asked < PAUSE {
            let answered = cache.fetched == cache.asked;
            return Err(if answered { OidcError::UnknownKey } else { OidcError::Silent });
        }
        cache.asked = now;
        cache.set = endpoint::read(self.http.get(self.address.clone())).await?;
        cache.fetched = now;
        cache.set.find(id).cloned().ok_or(OidcError::UnknownKey)
    }
}

/// Whether the key is one for this algorithm, and for signatures: what the key says of itself, never what a token says.
pub(super) fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let (kind, named) = match algorithm {
        Algorithm::Es256 => {
            let ec =
                matches!(&key.algorithm, AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256);
            (ec, KeyAlgorithm::ES256)
        }
        Algorithm::Rs256 => (matches!(&key.algorithm, AlgorithmParameters::RSA(_)), KeyAlgorithm::RS256),
        Algorithm::EdDsa => {
            let ed = matches!(&key.algorithm, AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519);
            (ed, KeyAlgorithm::EdDSA)
        }
    };
    kind && key.common.key_algorithm.is_none_or(|said| said == named)
        && key.common.public_key_use.as_ref().is_none_or(|said| *said == PublicKeyUse::Signature)
}
