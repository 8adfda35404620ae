//! Replay nonces: stateless to issue, spent in the transaction of their effect (RFC 8555, section 6.5).

use crate::clock::Timestamp;
use crate::store::nonces::SpentNonce;
use aws_lc_rs::{hmac, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use secret::Secret;

/// How long a nonce is good for, in milliseconds.
pub const LIFETIME: i64 = 5 * 60 * 1_000;
/// Expiry (8 bytes), random (16), truncated HMAC-SHA256 (16).
const LEN: usize = 40;
const AUTHENTICATED: usize = 24;

/// Issues nonces and recognises its own.
#[derive(Debug)]
pub struct Nonces {
    key: hmac::Key,
}

impl Nonces {
    /// All brokers of one database share `key`.
    #[must_use]
    pub fn new(key: &Secret) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the MAC key goes into aws-lc's own key type")]
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()) }
    }

    /// A fresh nonce, base64url, good for five minutes from `now`.
    pub fn issue(&self, now: Timestamp) -> String {
        let mut nonce = [0; LEN];
        nonce[..8].copy_from_slice(&(now + LIFETIME).to_be_bytes());
        rand::fill(&mut nonce[8..AUTHENTICATED]).expect("invariant: the system random number generator works");
        let tag = hmac::sign(&self.key, &nonce[..AUTHENTICATED]);
        nonce[AUTHENTICATED..].copy_from_slice(&tag.as_ref()[..LEN - AUTHENTICATED]);
        BASE64URL.encode(nonce)
    }

    /// The spendable part of a nonce that this broker issued and that is not too old; whether it was spent before is
    /// for the committer to say.
    #[must_use]
    pub fn recognise(&self, nonce: &str, now: Timestamp) -> Option<SpentNonce> {
        let nonce: [u8; LEN] = BASE64URL.decode(nonce).ok()?.try_into().ok()?;
        let tag = hmac::sign(&self.key, &nonce[..AUTHENTICATED]);
        let expected = &tag.as_ref()[..LEN - AUTHENTICATED];
        aws_lc_rs::constant_time::verify_slices_are_equal(expected, &nonce[AUTHENTICATED..]).ok()?;
        let expires_at = i64::from_be_bytes(nonce[..8].try_into().ok()?);
        (expires_at >= now).then_some((nonce[8..AUTHENTICATED].try_into().ok()?, expires_at))
    }
}

#[cfg(test)]
mod tests {
    use super::{LIFETIME, Nonces};
    use secret::Secret;

    #[test]
    fn recognises_its_own_until_they_expire() {
        let nonces = Nonces::new(&Secret::random(32));
        let nonce = nonces.issue(1_000);
        assert!(nonces.recognise(&nonce, 1_000 + LIFETIME).is_some());
        assert!(nonces.recognise(&nonce, 1_001 + LIFETIME).is_none());
        assert!(Nonces::new(&Secret::random(32)).recognise(&nonce, 1_000).is_none());
        assert!(nonces.recognise("AAAA", 1_000).is_none());
    }
}
