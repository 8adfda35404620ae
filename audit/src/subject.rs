//! Disclosures at rest: encrypted under a key per data subject, whose destruction erases the person from the log.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secret::Secret;
use std::fmt;
use uuid::Uuid;

/// Stands between disclosures, as in an SD-JWT (RFC 9901, section 4); base64url has no such character.
const SEPARATOR: char = '~';

/// The key of one data subject: AES-256-GCM with random 96-bit nonces, so good for 2^32 events.
pub struct SubjectKey(RandomizedNonceKey);

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(..)")
    }
}

/// Why a subject's bytes cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The key is not 32 bytes.
    #[error("a subject key is 32 bytes")]
    KeyLength,
    /// Another key, another event, or altered bytes.
    #[error("the disclosures were not sealed with this key for this event")]
    Unopenable,
}

impl SubjectKey {
    /// Takes a 32-byte key.
    ///
    /// # Errors
    /// [`SubjectError::KeyLength`] for any other length.
    pub fn new(key: &Secret) -> Result<Self, SubjectError> {
        #[expect(clippy::disallowed_methods, reason = "the bytes become a key schedule, which aws-lc wipes when freed")]
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.expose());
        key.map(Self).map_err(|_| SubjectError::KeyLength)
    }

    /// Seals the disclosures of the event `jti`: `nonce || ciphertext || tag`.
    ///
    /// # Panics
    /// When the system has no randomness: nothing may go on without it.
    #[must_use]
    pub fn seal(&self, jti: Uuid, disclosures: &[String]) -> Vec<u8> {
        let mut text = disclosures.join("~").into_bytes();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(jti.as_bytes()), &mut text)
            .expect("invariant: randomness works, and disclosures are far below the 64 GiB limit of AES-GCM");
        [nonce.as_ref().as_slice(), &text].concat()
    }

    /// The disclosures that were sealed for the event `jti`.
    ///
    /// # Errors
    /// [`SubjectError::Unopenable`].
    pub fn open(&self, jti: Uuid, sealed: &[u8]) -> Result<Vec<String>, SubjectError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SubjectError::Unopenable)?;
        let mut buffer = ciphertext.to_vec();
        let text = self
            .0
            .open_in_place(Nonce::from(nonce), Aad::from(jti.as_bytes()), &mut buffer)
            .map_err(|_| SubjectError::Unopenable)?;
        let text = str::from_utf8(text).map_err(|_| SubjectError::Unopenable)?;
        Ok(text.split(SEPARATOR).filter(|disclosure| !disclosure.is_empty()).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{SubjectError, SubjectKey};
    use secret::Secret;
    use uuid::Uuid;

    #[test]
    fn opens_only_for_its_event_and_its_subject() {
        let key = SubjectKey::new(&Secret::random(32)).unwrap();
        let (jti, disclosures) = (Uuid::from_u128(7), ["WyJh".to_owned(), "WyJi".to_owned()]);
        let mut sealed = key.seal(jti, &disclosures);
        assert_eq!(key.open(jti, &sealed).unwrap(), disclosures);
        assert_eq!(key.open(jti, &key.seal(jti, &[])).unwrap(), Vec::<String>::new());
        assert_eq!(key.open(Uuid::from_u128(8), &sealed), Err(SubjectError::Unopenable));
        let other = SubjectKey::new(&Secret::random(32)).unwrap();
        assert_eq!(other.open(jti, &sealed), Err(SubjectError::Unopenable));
        sealed[20] ^= 1;
        assert_eq!(key.open(jti, &sealed), Err(SubjectError::Unopenable));
        assert!(SubjectKey::new(&Secret::random(16)).is_err());
    }
}
