//! Encrypting and decrypting, with checksums both ways.

use super::call::required;
use super::keys::CryptoKey;
use super::material::{Material, open, seal, version_of};
use super::status::{Code, Status};
use super::words::{Base64, Int64, ProtectionLevel, Purpose};
use super::{Cloud, Damage, lock};
use serde::Deserialize;
use serde_json::{Value, json};

const SOFTWARE_LIMIT: usize = 64 * 1024;
const HSM_LIMIT: usize = 8 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Encrypt {
    plaintext: Option<Base64>,
    plaintext_crc32c: Option<Int64>,
    #[serde(default)]
    additional_authenticated_data: Base64,
    additional_authenticated_data_crc32c: Option<Int64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decrypt {
    ciphertext: Option<Base64>,
    ciphertext_crc32c: Option<Int64>,
    #[serde(default)]
    additional_authenticated_data: Base64,
    additional_authenticated_data_crc32c: Option<Int64>,
}

impl Cloud {
    pub(super) fn encrypt(&self, name: &str, version: Option<u32>, request: Encrypt) -> Result<Value, Status> {
        let aad = request.additional_authenticated_data.0;
        let (plaintext, verified) =
            self.received("plaintext", required(request.plaintext, "plaintext")?, request.plaintext_crc32c)?;
        let (aad, verified_aad) =
            self.received("additional_authenticated_data", aad, request.additional_authenticated_data_crc32c)?;
        let mut store = lock(&self.store);
        let key = for_purpose(store.key(name)?, Purpose::EncryptDecrypt)?;
        check_limits(key.level, plaintext.len(), aad.len())?;
        let version = version.or(key.primary).ok_or_else(|| no_primary(name))?;
        let Material::Aes(material) = key.enabled(version)? else { return Err(no_primary(name)) };
        lock(&self.plaintexts).push(plaintext.clone());
        let (ciphertext, checksum) = self.sent(seal(material, version, &plaintext, &aad));
        let name =
            if self.has(Damage::AnswerName) { name.replace("cryptoKeys/", "cryptoKeys/x") } else { name.to_owned() };
        Ok(json!({
            "name": format!("{name}/cryptoKeyVersions/{version}"),
            "ciphertext": ciphertext,
            "ciphertextCrc32c": checksum,
            "verifiedPlaintextCrc32c": verified,
            "verifiedAdditionalAuthenticatedDataCrc32c": verified_aad,
            "protectionLevel": key.level,
        }))
    }

    pub(super) fn decrypt(&self, name: &str, request: Decrypt) -> Result<Value, Status> {
        let aad = request.additional_authenticated_data.0;
        let (ciphertext, _) =
            self.received("ciphertext", required(request.ciphertext, "ciphertext")?, request.ciphertext_crc32c)?;
        let (aad, _) =
            self.received("additional_authenticated_data", aad, request.additional_authenticated_data_crc32c)?;
        let mut store = lock(&self.store);
        let key = for_purpose(store.key(name)?, Purpose::EncryptDecrypt)?;
        let wrong = || Status::invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey.");
        let version = version_of(&ciphertext).filter(|version| key.versions.contains_key(version)).ok_or_else(wrong)?;
        let Material::Aes(material) = key.enabled(version)? else { return Err(wrong()) };
        let (plaintext, checksum) = self.sent(open(material, &ciphertext, &aad).ok_or_else(wrong)?);
        Ok(json!({
            "plaintext": plaintext,
            "plaintextCrc32c": checksum,
            "usedPrimary": key.primary == Some(version),
            "protectionLevel": key.level,
        }))
    }

    pub(super) fn public_key(&self, name: &str, version: u32) -> Result<Value, Status> {
        let mut store = lock(&self.store);
        let key = for_purpose(store.key(name)?, Purpose::AsymmetricDecrypt)?;
        let Material::Rsa(material) = key.enabled(version)? else { return Err(no_primary(name)) };
        let checksum = crc32c::crc32c(material.public_pem.as_bytes());
        let mut pem = material.public_pem.clone();
        if self.has(Damage::AnswerData) {
            pem = pem.replacen("MII", "MIJ", 1);
        }
        Ok(json!({
            "name": if self.has(Damage::AnswerName) { key.version_name(version + 1) } else { key.version_name(version) },
            "pem": pem,
            "pemCrc32c": (!self.has(Damage::AnswerChecksums)).then_some(Int64(checksum.into())),
            "algorithm": key.algorithm,
            "protectionLevel": key.level,
        }))
    }

    pub(super) fn asymmetric_decrypt(&self, name: &str, version: u32, request: Decrypt) -> Result<Value, Status> {
        let (ciphertext, verified) =
            self.received("ciphertext", required(request.ciphertext, "ciphertext")?, request.ciphertext_crc32c)?;
        let mut store = lock(&self.store);
        let key = for_purpose(store.key(name)?, Purpose::AsymmetricDecrypt)?;
        let Material::Rsa(material) = key.enabled(version)? else { return Err(no_primary(name)) };
        let opened = material.decrypt(&ciphertext);
        let (plaintext, checksum) =
            self.sent(opened.ok_or_else(|| Status::invalid("Decryption failed: the ciphertext is invalid."))?);
        Ok(json!({
            "plaintext": plaintext,
            "plaintextCrc32c": checksum,
            "verifiedCiphertextCrc32c": verified,
            "protectionLevel": key.level,
        }))
    }

    /// Data as the server sees it, and whether a checksum has come with it.
    fn received(&self, field: &str, data: Vec<u8>, checksum: Option<Int64>) -> Result<(Vec<u8>, bool), Status> {
        let data = if self.has(Damage::RequestData) { flipped(data) } else { data };
        let checksum = checksum.filter(|_| !self.has(Damage::RequestChecksums));
        match checksum {
            Some(checksum) if checksum != Int64(crc32c::crc32c(&data).into()) => Err(Status::invalid(format!(
                "The checksum in field {field}_crc32c did not match the data in field {field}."
            ))),
            Some(_) => Ok((data, true)),
            None => Ok((data, false)),
        }
    }

    /// Data as the client sees it, and its checksum.
    fn sent(&self, data: Vec<u8>) -> (Base64, Option<Int64>) {
        let checksum = Int64(crc32c::crc32c(&data).into());
        let data = if self.has(Damage::AnswerData) { flipped(data) } else { data };
        (Base64(data), (!self.has(Damage::AnswerChecksums)).then_some(checksum))
    }
}

fn for_purpose(key: &CryptoKey, purpose: Purpose) -> Result<&CryptoKey, Status> {
    if key.purpose == purpose {
        return Ok(key);
    }
    let message = format!("{} has purpose {}, which does not allow this.", key.name, key.purpose.word());
    Err(Status::new(Code::FailedPrecondition, message))
}

fn check_limits(level: ProtectionLevel, plaintext: usize, aad: usize) -> Result<(), Status> {
    let fits = match level {
        ProtectionLevel::Software => plaintext <= SOFTWARE_LIMIT && aad <= SOFTWARE_LIMIT,
        ProtectionLevel::Hsm => plaintext + aad <= HSM_LIMIT,
    };
    if fits { Ok(()) } else { Err(Status::invalid("The plaintext, or the additional data, is too large.")) }
}

fn no_primary(name: &str) -> Status {
    Status::new(Code::FailedPrecondition, format!("{name} has no primary version."))
}

fn flipped(mut data: Vec<u8>) -> Vec<u8> {
    if let Some(byte) = data.last_mut() {
        *byte ^= 1;
    }
    data
}
