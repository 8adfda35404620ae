//! Bringing a key made elsewhere into the transit engine.

use super::client::Failure;
use super::{OpenBao, name_of};
use crate::{Error, ImportKey, ImportParameters, KeyRef, OaepHash, WrappingMechanism};
use async_trait::async_trait;
use thiserror::Error;

/// A key of that name is there already. An import never replaces one.
#[derive(Debug, Error)]
#[error("a transit key of that name exists already, it was left as it is")]
struct Exists;

#[async_trait]
impl ImportKey for OpenBao {
    async fn import_parameters(&self, key: &KeyRef) -> Result<ImportParameters, Error> {
        name_of(key)?;
        let wrapping_key = self.client.wrapping_key().await.map_err(|failure| self.failed(failure))?;
        let (mechanism, hash) = (WrappingMechanism::RsaAesKeyWrap, OaepHash::Sha256);
        Ok(ImportParameters { wrapping_key, mechanism, hash, token: Vec::new(), expires_at: None })
    }

    async fn import_key(&self, key: &KeyRef, material: &[u8], _token: &[u8]) -> Result<(), Error> {
        let imported = self.client.import(name_of(key)?, material).await;
        imported.map_err(|failure| read_refusal(&failure).unwrap_or_else(|| self.failed(failure)))
    }
}

/// What the server's words mean; its status is 500 for all of them.
fn read_refusal(failure: &Failure) -> Option<Error> {
    let Failure::Answer { messages: Some(messages), .. } = failure else { return None };
    let said = |words: &[&str]| messages.iter().any(|message| words.iter().any(|words| message.contains(words)));
    if said(&["cannot be used with an existing key"]) {
        Some(Error::broken(Exists))
    } else if said(&["ciphertext is too short", "decryption error", "kwp: ", "256-bit", "invalid key size"]) {
        Some(Error::Mismatch)
    } else {
        None
    }
}
