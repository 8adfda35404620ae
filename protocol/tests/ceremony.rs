//! A ceremony's files, good and altered: no input breaks the parsers, and only the key that was compared wraps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey, PublicEncryptingKey};
use keyfold_protocol::ceremony::{CeremonyError, Fingerprint, Material, OaepHash, Parameters, WrappingMechanism};
use keyfold_protocol::encoding::{Base64Url, from_json};
use proptest::prelude::{any, proptest};
use secret::Secret;
use std::sync::LazyLock;

static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key: PublicEncryptingKey = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap().public_key();
    let der: PublicKeyX509Der<'_> = key.as_der().unwrap();
    der.as_ref().to_vec()
});

fn parameters(wrapping_key: Vec<u8>, mechanism: WrappingMechanism) -> Parameters {
    Parameters {
        tenant: "acme".parse().unwrap(),
        provider: "hsm".parse().unwrap(),
        key: "customer-key".parse().unwrap(),
        wrapping_key: Base64Url(wrapping_key),
        mechanism,
        hash: OaepHash::Sha256,
        token: Base64Url(b"token".to_vec()),
        expires_at: None,
    }
}

/// Wraps where that can be; the material is as long as its mechanism makes it.
fn wrap(parameters: &Parameters) -> Option<Material> {
    let other: Fingerprint = "00".repeat(32).parse().unwrap();
    assert!(matches!(parameters.confirm(&other, 0), Err(CeremonyError::OtherWrappingKey { .. })));
    let confirmed = parameters.confirm(&parameters.fingerprint(), 0).ok()?;
    let made = confirmed.wrap(&Secret::copied_from(&[7; 32])).ok()?;
    let after_oaep = match parameters.mechanism {
        WrappingMechanism::RsaAesKeyWrap => 40,
        WrappingMechanism::RsaOaep => 0,
    };
    assert!(made.material.0.len() - after_oaep >= 256);
    assert_eq!(made.check_value.to_string(), "0a4dee", "as Python's `cryptography` computes it");
    Some(made)
}

fn flip(mut bytes: Vec<u8>, at: usize, bit: u8) -> Vec<u8> {
    let at = at % bytes.len();
    bytes[at] ^= 1 << bit;
    bytes
}

proptest! {
    #[test]
    fn altered_files_are_refused_or_read_the_same_when_written_again(at in any::<usize>(), bit in 0_u8..8) {
        for mechanism in [WrappingMechanism::RsaAesKeyWrap, WrappingMechanism::RsaOaep] {
            let parameters = parameters(KEY.clone(), mechanism);
            let material = wrap(&parameters).unwrap();
            if let Ok(read) = from_json::<Parameters>(&flip(serde_json::to_vec(&parameters).unwrap(), at, bit)) {
                assert_eq!(from_json::<Parameters>(&serde_json::to_vec(&read).unwrap()).unwrap(), read);
                wrap(&read);
            }
            if let Ok(read) = from_json::<Material>(&flip(serde_json::to_vec(&material).unwrap(), at, bit)) {
                assert_eq!(from_json::<Material>(&serde_json::to_vec(&read).unwrap()).unwrap(), read);
            }
        }
    }

    #[test]
    fn an_altered_wrapping_key_is_never_the_one_that_was_compared(at in any::<usize>(), bit in 0_u8..8) {
        let compared = parameters(KEY.clone(), WrappingMechanism::RsaAesKeyWrap).fingerprint();
        let altered = parameters(flip(KEY.clone(), at, bit), WrappingMechanism::RsaAesKeyWrap);
        assert!(matches!(altered.confirm(&compared, 0), Err(CeremonyError::OtherWrappingKey { .. })));
        wrap(&altered);
    }
}
