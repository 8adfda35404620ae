//! Key material and what is done with it; all by aws-lc-rs.

use super::words::Algorithm;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};

/// Version number and nonce stand before the sealed bytes.
const VERSION_LEN: usize = 4;
const AES_KEY_LEN: usize = 32;

/// What a version computes with.
#[derive(Debug)]
pub(super) enum Material {
    Aes([u8; AES_KEY_LEN]),
    Rsa(Box<RsaKey>),
}

#[derive(Debug)]
pub(super) struct RsaKey {
    private: OaepPrivateDecryptingKey,
    /// SubjectPublicKeyInfo (RFC 5280) in PEM.
    pub(super) public_pem: String,
}

impl Material {
    pub(super) fn generate(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Symmetric => {
                let mut key = [0; AES_KEY_LEN];
                rand::fill(&mut key).expect("the system has randomness");
                Self::Aes(key)
            }
            Algorithm::Oaep2048 => Self::Rsa(Box::new(RsaKey::generate(KeySize::Rsa2048))),
            Algorithm::Oaep3072 => Self::Rsa(Box::new(RsaKey::generate(KeySize::Rsa3072))),
            Algorithm::Oaep4096 => Self::Rsa(Box::new(RsaKey::generate(KeySize::Rsa4096))),
        }
    }
}

impl RsaKey {
    pub(super) fn generate(size: KeySize) -> Self {
        let private = PrivateDecryptingKey::generate(size).expect("RSA keys can be generated");
        let public = private.public_key().as_der().expect("an RSA key can be encoded");
        let public_pem = pem("PUBLIC KEY", public.as_ref());
        Self { private: OaepPrivateDecryptingKey::new(private).expect("an RSA key decrypts"), public_pem }
    }

    /// RSA-OAEP with SHA-256 (RFC 8017, section 7.1).
    pub(super) fn decrypt(&self, ciphertext: &[u8]) -> Option<Vec<u8>> {
        let mut plaintext = vec![0; self.private.min_output_size()];
        let opened = self.private.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plaintext, None);
        opened.ok().map(|plaintext| plaintext.to_vec())
    }

    /// Opens RSA-OAEP(ephemeral AES-256 key) || AES-KWP(ephemeral key, material), if the material is an AES-256 key.
    pub(super) fn unwrap_aes_key(&self, wrapped: &[u8]) -> Option<[u8; AES_KEY_LEN]> {
        let (ephemeral, wrapped) = wrapped.split_at_checked(self.private.key_size_bytes())?;
        let ephemeral = AesKek::new(&AES_256, &self.decrypt(ephemeral)?).ok()?;
        let mut material = vec![0; wrapped.len()];
        let material = ephemeral.unwrap_with_padding(wrapped, &mut material).ok()?;
        (*material).try_into().ok()
    }
}

/// Seals under `key`; the answer says by itself which version did.
pub(super) fn seal(key: &[u8; AES_KEY_LEN], version: u32, plaintext: &[u8], aad: &[u8]) -> Vec<u8> {
    let mut sealed = plaintext.to_vec();
    let aad = Aad::from([&version.to_be_bytes(), aad].concat());
    let nonce = cipher(key).seal_in_place_append_tag(aad, &mut sealed).expect("AES-GCM takes 64 KiB");
    [&version.to_be_bytes()[..], nonce.as_ref(), &sealed].concat()
}

/// Which version is said to have sealed `ciphertext`.
pub(super) fn version_of(ciphertext: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*ciphertext.first_chunk::<VERSION_LEN>()?))
}

pub(super) fn open(key: &[u8; AES_KEY_LEN], ciphertext: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (version, rest) = ciphertext.split_at_checked(VERSION_LEN)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut sealed = sealed.to_vec();
    let opened = cipher(key).open_in_place(nonce, Aad::from([version, aad].concat()), &mut sealed);
    opened.ok().map(|plaintext| plaintext.to_vec())
}

/// PEM (RFC 7468).
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn cipher(key: &[u8; AES_KEY_LEN]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("an AES-256 key has 32 bytes")
}
