//! A BYOK ceremony (docs/CEREMONY.md): the parameters that the broker hands out, and the material that an offline machine
//! makes by them. Nothing in either is secret, but whoever exchanges the wrapping key on the way reads the KEK: so people
//! compare its fingerprint, and only [`Confirmed`] parameters wrap.

mod compared;

pub use compared::{CheckValue, Compared, Fingerprint, NotHexadecimal};

use crate::encoding::Base64Url;
use crate::names::{TenantId, Text};
use aws_lc_rs::cipher::{self, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use secret::Secret;
use serde::{Deserialize, Serialize};

/// Length of a KEK, AES-256, in bytes.
pub const KEK_LEN: usize = 32;
/// What the buffer of AES-KWP must have to spare; aws-lc asks for so much whatever the padding.
const KWP_SPARE: usize = 15;

/// A provider of the broker's configuration.
pub type ProviderName = Text<128>;
/// What a provider calls a key.
pub type KeyName = Text<512>;

/// What a KEK is wrapped with, for one key at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ImportParameters))]
pub struct Parameters {
    /// Whose KEK it will be.
    pub tenant: TenantId,
    /// The provider that will hold it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub provider: ProviderName,
    /// What that provider calls it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub key: KeyName,
    /// The vendor's RSA key, as DER SubjectPublicKeyInfo (RFC 5280) in base64url.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub wrapping_key: Base64Url<Vec<u8>>,
    /// How the KEK is wrapped with it.
    pub mechanism: WrappingMechanism,
    /// The hash of OAEP and of its MGF1.
    pub hash: OaepHash,
    /// To be handed back with the material; empty where the vendor has none.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: Base64Url<Vec<u8>>,
    /// When the vendor stops taking what was wrapped with this key, in unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// How a KEK is wrapped, by the name of PKCS#11 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WrappingMechanism {
    /// Section 6.1.21: RSA-OAEP(ephemeral AES-256 key) || AES-KWP(ephemeral key, KEK).
    #[serde(rename = "CKM_RSA_AES_KEY_WRAP")]
    RsaAesKeyWrap,
    /// Section 6.1.8: RSA-OAEP(KEK).
    #[serde(rename = "CKM_RSA_PKCS_OAEP")]
    RsaOaep,
}

/// The hash function of RSA-OAEP (RFC 8017, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OaepHash {
    /// SHA-1: what Azure asks for. OAEP does not need it to resist collisions.
    #[serde(rename = "SHA-1")]
    Sha1,
    /// SHA-256.
    #[serde(rename = "SHA-256")]
    Sha256,
}

/// A wrapped KEK on its way to the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// As in [`Parameters::tenant`].
    pub tenant: TenantId,
    /// As in [`Parameters::provider`].
    pub provider: ProviderName,
    /// As in [`Parameters::key`].
    pub key: KeyName,
    /// Of the wrapping key that was used.
    pub fingerprint: Fingerprint,
    /// Of the KEK.
    pub check_value: CheckValue,
    /// The KEK, wrapped as the parameters asked.
    pub material: Base64Url<Vec<u8>>,
    /// As in [`Parameters::token`].
    pub token: Base64Url<Vec<u8>>,
}

/// Why parameters or a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// Not the wrapping key that people compared. Stop: somebody may have exchanged it.
    #[error("the wrapping key is another: its fingerprint is {found}")]
    OtherWrappingKey {
        /// The fingerprint of the key that is there.
        found: Fingerprint,
    },
    /// The vendor does not take it any more. Get new parameters, unless this machine's clock is wrong.
    #[error("the parameters have expired; get new ones, or set this machine's clock")]
    Expired,
    /// Not an RSA public key of 2,048 to 8,192 bits.
    #[error("the wrapping key is no RSA public key of 2048 to 8192 bits")]
    BadWrappingKey,
    /// The key to wrap is no AES-256 key.
    #[error("an AES-256 key has {KEK_LEN} bytes")]
    NotAes256,
}

impl Parameters {
    /// SHA-256 of the wrapping key's DER SubjectPublicKeyInfo: what vendors' tools and OpenSSL give for it, too.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = digest::digest(&digest::SHA256, &self.wrapping_key.0);
        Compared::new(hash.as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes"))
    }

    /// The parameters ready to wrap, if their wrapping key has the fingerprint that people `expected`, and the vendor still
    /// takes it at `now`, in unix milliseconds.
    pub fn confirm(&self, expected: &Fingerprint, now: i64) -> Result<Confirmed<'_>, CeremonyError> {
        let found = self.fingerprint();
        if found != *expected {
            return Err(CeremonyError::OtherWrappingKey { found });
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(CeremonyError::Expired);
        }
        // aws-lc takes 2,048 to 8,192 bits only.
        let key = PublicEncryptingKey::from_der(&self.wrapping_key.0).map_err(|_| CeremonyError::BadWrappingKey)?;
        let wrapping_key = OaepPublicEncryptingKey::new(key).map_err(|_| CeremonyError::BadWrappingKey)?;
        Ok(Confirmed { parameters: self, wrapping_key })
    }
}

/// Parameters whose wrapping key is the one that people compared.
#[derive(Debug)]
pub struct Confirmed<'a> {
    parameters: &'a Parameters,
    wrapping_key: OaepPublicEncryptingKey,
}

impl Confirmed<'_> {
    /// Wraps an AES-256 key for the provider.
    pub fn wrap(&self, kek: &Secret) -> Result<Material, CeremonyError> {
        let check_value = check_value(kek)?;
        let blob = self.blob(kek).map_err(|Unspecified| CeremonyError::BadWrappingKey)?;
        let Parameters { tenant, provider, key, token, .. } = self.parameters.clone();
        let fingerprint = self.parameters.fingerprint();
        Ok(Material { tenant, provider, key, fingerprint, check_value, material: Base64Url(blob), token })
    }

    fn blob(&self, kek: &Secret) -> Result<Vec<u8>, Unspecified> {
        match self.parameters.mechanism {
            WrappingMechanism::RsaOaep => self.oaep(kek),
            WrappingMechanism::RsaAesKeyWrap => {
                let ephemeral = Secret::random(KEK_LEN);
                let mut blob = self.oaep(&ephemeral)?;
                blob.extend_from_slice(&key_wrap_padded(&ephemeral, kek)?);
                Ok(blob)
            }
        }
    }

    fn oaep(&self, key: &Secret) -> Result<Vec<u8>, Unspecified> {
        let mut wrapped = vec![0; self.wrapping_key.ciphertext_size()];
        #[expect(clippy::disallowed_methods, reason = "the key goes straight into its wrapping")]
        self.wrapping_key.encrypt(algorithm(self.parameters.hash), key.expose(), &mut wrapped, None)?;
        Ok(wrapped)
    }
}

/// AES-KWP (RFC 5649).
#[expect(clippy::disallowed_methods, reason = "both keys go straight into the wrapping")]
fn key_wrap_padded(ephemeral: &Secret, kek: &Secret) -> Result<Vec<u8>, Unspecified> {
    let mut wrapped = [0; KEK_LEN + KWP_SPARE];
    let wrapped = AesKek::new(&key_wrap::AES_256, ephemeral.expose())?.wrap_with_padding(kek.expose(), &mut wrapped)?;
    Ok(wrapped.to_vec())
}

fn algorithm(hash: OaepHash) -> &'static OaepAlgorithm {
    match hash {
        OaepHash::Sha1 => &OAEP_SHA1_MGF1SHA1,
        OaepHash::Sha256 => &OAEP_SHA256_MGF1SHA256,
    }
}

/// What tells two AES-256 keys apart without showing them: the first three bytes of a block of zeros, encrypted
/// (`CKA_CHECK_VALUE` of secret keys, PKCS#11 3.0).
pub fn check_value(kek: &Secret) -> Result<CheckValue, CeremonyError> {
    let mut block = [0; 16];
    #[expect(clippy::disallowed_methods, reason = "three bytes of one block say nothing useful about the key")]
    UnboundCipherKey::new(&cipher::AES_256, kek.expose())
        .and_then(EncryptingKey::ecb)
        .and_then(|key| key.encrypt(&mut block))
        .map_err(|Unspecified| CeremonyError::NotAes256)?;
    Ok(Compared::new([block[0], block[1], block[2]]))
}
