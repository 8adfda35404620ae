//! Tokens as an issuer signs them, and as none should. JWS (RFC 7515) put together without a library for it.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

/// A token before it is signed.
#[derive(Debug, Clone)]
pub struct Token {
    /// JOSE header; its `alg` and `kid` are the signer's until they are changed.
    pub header: Value,
    /// What it says.
    pub claims: Value,
    /// Who signs it, whatever the header says.
    pub signer: Signer,
}

/// Whose key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The issuer's, `ES256`.
    Ecdsa,
    /// The issuer's, `RS256`.
    Rsa,
    /// The issuer's, `EdDSA`.
    Ed25519,
    /// A key that the issuer never published, under the name of one that it has.
    Stranger,
    /// HMAC by the issuer's public key, which anybody has.
    PublicKey,
    /// There is no signature.
    Nobody,
}

/// The issuer's keys, and one of somebody else.
#[derive(Debug)]
pub(super) struct Keys {
    ecdsa: EcdsaKeyPair,
    rsa: rsa::KeyPair,
    ed25519: Ed25519KeyPair,
    stranger: EcdsaKeyPair,
}

impl Token {
    /// By this signer, with the header that fits.
    #[must_use]
    pub fn new(claims: Value, signer: Signer) -> Self {
        Self { header: signer.header(), claims, signer }
    }

    /// Changes the signer, and the header with it.
    pub fn sign_by(&mut self, signer: Signer) {
        (self.header, self.signer) = (signer.header(), signer);
    }
}

impl Signer {
    fn header(self) -> Value {
        let (alg, kid) = match self {
            Self::Ecdsa | Self::Stranger => ("ES256", "ecdsa"),
            Self::Rsa => ("RS256", "rsa"),
            Self::Ed25519 => ("EdDSA", "ed25519"),
            Self::PublicKey => ("HS256", "ecdsa"),
            Self::Nobody => ("none", "ecdsa"),
        };
        json!({"alg": alg, "kid": kid})
    }
}

impl Keys {
    pub(super) fn new() -> Self {
        let ecdsa = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("keys can be made");
        Self {
            ecdsa: ecdsa(),
            rsa: rsa::KeyPair::generate(KeySize::Rsa2048).expect("keys can be made"),
            ed25519: Ed25519KeyPair::generate().expect("keys can be made"),
            stranger: ecdsa(),
        }
    }

    /// The public keys (RFC 7517).
    pub(super) fn set(&self) -> Value {
        let point = self.ecdsa.public_key().as_ref();
        // PKCS #1 of a 2048 bit key has its modulus at a fixed place.
        let modulus = &self.rsa.public_key().as_ref()[9..9 + 256];
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": "sig", "kid": "ecdsa", "x": base64(&point[1..33]), "y": base64(&point[33..])},
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rsa", "n": base64(modulus), "e": "AQAB"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed25519", "x": base64(self.ed25519.public_key().as_ref())},
        ]})
    }

    pub(super) fn sign(&self, token: &Token) -> String {
        let text = [&token.header, &token.claims].map(|part| base64(part.to_string().as_bytes())).join(".");
        let signature = self.signature(token.signer, text.as_bytes());
        format!("{text}.{}", base64(&signature))
    }

    fn signature(&self, signer: Signer, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let ecdsa = |key: &EcdsaKeyPair| key.sign(&random, text).expect("a key signs").as_ref().to_vec();
        match signer {
            Signer::Ecdsa => ecdsa(&self.ecdsa),
            Signer::Stranger => ecdsa(&self.stranger),
            Signer::Rsa => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).expect("a key signs");
                signature
            }
            Signer::Ed25519 => self.ed25519.sign(text).as_ref().to_vec(),
            Signer::PublicKey => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.ecdsa.public_key().as_ref());
                hmac::sign(&key, text).as_ref().to_vec()
            }
            Signer::Nobody => Vec::new(),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
