use crate::error::Error;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use secret::Secret;

/// What the user's contacts know of the user: the public half of a P-256 key.
pub(crate) struct Identity {
    public: Vec<u8>,
}

impl Identity {
    /// A new identity, and its private half as PKCS#8 (RFC 5208).
    pub(crate) fn new() -> Result<(Self, Secret), Error> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let private = Secret::copied_from(pair.to_pkcs8v1()?.as_ref());
        Ok((Self { public: pair.public_key().as_ref().to_vec() }, private))
    }

    /// Signs a fresh challenge with `private`, and verifies the signature under this identity's public half.
    #[expect(clippy::disallowed_methods, reason = "the signing key is parsed straight from the secret")]
    pub(crate) fn is_proven_by(&self, private: &Secret) -> Result<(), Error> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.expose())?;
        let mut challenge = [0; 32];
        aws_lc_rs::rand::fill(&mut challenge)?;
        let signature = pair.sign(&SystemRandom::new(), &challenge)?;
        Ok(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public).verify(&challenge, signature.as_ref())?)
    }
}
