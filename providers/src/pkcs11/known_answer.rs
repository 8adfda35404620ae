//! What AWS-LC makes of a payload: what a module is compared with.

use super::mechanism::Mechanism;
use super::method::Gcm;
use crate::Context;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};

/// The bytes that the token must open. `payload` is a made-up one, not a secret.
pub(super) fn wrap(mechanism: Mechanism, key: &[u8; 32], payload: &[u8], context: Context) -> Vec<u8> {
    let made = match mechanism {
        Mechanism::AesKw => kek(key).wrap(payload, &mut vec![0; payload.len() + 8]).map(|bytes| bytes.to_vec()),
        Mechanism::AesKwp => {
            kek(key).wrap_with_padding(payload, &mut vec![0; payload.len() + 16]).map(|bytes| bytes.to_vec())
        }
        Mechanism::AesGcm => seal(key, payload, context),
        Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => Err(Unspecified),
    };
    made.expect("invariant: key and payload have lengths that AES mechanisms take")
}

/// The payload of what the token has wrapped; `None` when it is not in the standard's format.
pub(super) fn unwrap(mechanism: Mechanism, key: &[u8; 32], wrapped: &[u8], context: Context) -> Option<Vec<u8>> {
    let mut payload = vec![0; wrapped.len()];
    match mechanism {
        Mechanism::AesKw => kek(key).unwrap(wrapped, &mut payload).ok().map(|bytes| bytes.to_vec()),
        Mechanism::AesKwp => kek(key).unwrap_with_padding(wrapped, &mut payload).ok().map(|bytes| bytes.to_vec()),
        Mechanism::AesGcm => {
            let (iv, ciphertext) = wrapped.split_first_chunk::<{ Gcm::IV_LEN }>()?;
            let (mut bytes, aad) = (ciphertext.to_vec(), Aad::from(context.as_bytes()));
            let nonce = Nonce::assume_unique_for_key(*iv);
            gcm(key).open_in_place(nonce, aad, &mut bytes).ok().map(|bytes| bytes.to_vec())
        }
        Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => None,
    }
}

/// RSA-OAEP under a public key of these components; `None` when the key cannot be used.
pub(super) fn encrypt(mechanism: Mechanism, modulus: &[u8], exponent: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match mechanism {
        Mechanism::RsaOaepSha256 => &OAEP_SHA256_MGF1SHA256,
        Mechanism::RsaOaepSha1 => &OAEP_SHA1_MGF1SHA1,
        Mechanism::AesKw | Mechanism::AesKwp | Mechanism::AesGcm => return None,
    };
    let key: PublicEncryptingKey = PublicKeyComponents { n: modulus, e: exponent }.try_into().ok()?;
    let key = OaepPublicEncryptingKey::new(key).ok()?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    key.encrypt(algorithm, payload, &mut ciphertext, None).ok().map(|bytes| bytes.to_vec())
}

fn kek(key: &[u8; 32]) -> AesKek {
    AesKek::new(&AES_256, key).expect("invariant: the key has 32 bytes")
}

fn gcm(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&aead::AES_256_GCM, key).expect("invariant: the key has 32 bytes"))
}

fn seal(key: &[u8; 32], payload: &[u8], context: Context) -> Result<Vec<u8>, Unspecified> {
    let (iv, mut bytes) = ([7; Gcm::IV_LEN], payload.to_vec());
    gcm(key).seal_in_place_append_tag(Nonce::assume_unique_for_key(iv), Aad::from(context.as_bytes()), &mut bytes)?;
    Ok([&iv[..], &bytes].concat())
}
