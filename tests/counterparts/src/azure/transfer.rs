//! The transfer blob of the BYOK specification: RSA-OAEP (SHA-1) around an ephemeral AES key, AES-KWP around the key.

use super::jwk::{Specification, Version};
use super::material::{self, Material};
use super::refusal::Refusal;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::OAEP_SHA1_MGF1SHA1;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;

/// What a `.byok` file holds.
#[derive(Debug, Deserialize)]
pub(super) struct Transfer {
    schema_version: String,
    header: Header,
    ciphertext: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    kid: String,
    alg: String,
    enc: String,
}

impl Transfer {
    /// Reads the `key_hsm` of an import.
    pub(super) fn read(key_hsm: &str) -> Result<Self, Refusal> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(key_hsm).map_err(|_| refused())?;
        let transfer: Self = serde_json::from_slice(&json).map_err(|_| refused())?;
        let Header { alg, enc, .. } = &transfer.header;
        if transfer.schema_version == "1.0.0" && alg == "dir" && enc == "CKM_RSA_AES_KEY_WRAP" {
            Ok(transfer)
        } else {
            Err(refused())
        }
    }

    /// The key that it is encrypted to.
    pub(super) fn kid(&self) -> &str {
        &self.header.kid
    }

    /// The key inside.
    pub(super) fn open(&self, transfer_key: &Version, specification: &Specification) -> Result<Material, Refusal> {
        let Material::Rsa(key) = &transfer_key.material else { return Err(refused()) };
        if !transfer_key.is_transfer_key() {
            return Err(refused());
        }
        let ciphertext = BASE64_URL_SAFE_NO_PAD.decode(&self.ciphertext).map_err(|_| refused())?;
        let (ephemeral, wrapped) = ciphertext.split_at_checked(key.public_modulus_len()).ok_or_else(refused)?;
        let ephemeral = material::decrypt(key, &OAEP_SHA1_MGF1SHA1, ephemeral)?;
        let kek = AesKek::new(&AES_256, &ephemeral).map_err(|_| refused())?;
        let mut plaintext = vec![0; wrapped.len()];
        let plaintext = kek.unwrap_with_padding(wrapped, &mut plaintext).map_err(|_| refused())?;
        match specification.kty.as_str() {
            "oct-HSM" => Material::oct(plaintext.to_vec()),
            "RSA-HSM" => Material::rsa(plaintext),
            _ => Err(refused()),
        }
    }
}

fn refused() -> Refusal {
    Refusal::bad_parameter("The key transfer blob is invalid.")
}
