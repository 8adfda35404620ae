//! Keys in a file, opened by a passphrase: for trials, tests and small installations. **Not an HSM**: whoever has the
//! file and the passphrase, or reads the process's memory, has the keys.

mod client;
mod document;
mod keystore;

pub use keystore::{EditError, Keystore, OpenError};

use crate::payload::Payload;
use crate::{Capabilities, Context, Error, KeyProvider, KeyRef, KeyState, Permissions, Unusable, Wrapped};
use async_trait::async_trait;
use client::Kek;
use keystore::Loaded;
use secret::Secret;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// An open keystore: AES-256-KWP (RFC 5649) under keys held in memory.
///
/// The file is the truth: each call looks whether it was replaced, so a key that another process disables or deletes
/// is unusable at once. A file that can no longer be read makes every call fail.
#[derive(Debug)]
pub struct Software {
    keystore: Keystore,
    loaded: RwLock<Loaded>,
}

impl Software {
    /// Opens the keystore at `path`.
    pub fn open(path: &Path, passphrase: &Secret) -> Result<Self, OpenError> {
        let keystore = Keystore::open(path, passphrase)?;
        let loaded = RwLock::new(keystore.load()?);
        Ok(Self { keystore, loaded })
    }

    /// Adds a random 256-bit key, enabled.
    pub fn create_key(&self, name: &str) -> Result<(), EditError> {
        let added = self.keystore.edit(|document, root| document.add(root, name))?;
        if added { Ok(()) } else { Err(EditError::Exists) }
    }

    /// Enables or disables a key.
    pub fn set_state(&self, name: &str, enabled: bool) -> Result<(), EditError> {
        let known = self.keystore.edit(|document, root| document.set_state(root, name, enabled))?;
        if known { Ok(()) } else { Err(EditError::NoSuchKey) }
    }

    /// Deletes a key for good: what it wrapped is lost.
    pub fn delete(&self, name: &str) -> Result<(), EditError> {
        let known = self.keystore.edit(|document, _| document.remove(name))?;
        if known { Ok(()) } else { Err(EditError::NoSuchKey) }
    }

    /// Calls `operation` with a key that may be used.
    fn with_key<T>(&self, key: &KeyRef, operation: impl FnOnce(&Kek) -> Result<T, Error>) -> Result<T, Error> {
        match self.current()?.keys.get(key.as_str()) {
            Some(Some(kek)) => operation(kek),
            Some(None) => Err(Error::KeyUnusable(Unusable::Disabled)),
            None => Err(Error::NoSuchKey),
        }
    }

    /// The keys of the file as it is now; read again when it was replaced.
    fn current(&self) -> Result<RwLockReadGuard<'_, Loaded>, Error> {
        // A poisoned lock is harmless: what it guards is only ever replaced as a whole.
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        if self.keystore.is_current(&loaded).map_err(Error::broken)? {
            return Ok(loaded);
        }
        drop(loaded);
        let newest = self.keystore.load().map_err(Error::broken)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = newest;
        Ok(self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Calls take a few microseconds, so they run where they are.
#[async_trait]
impl KeyProvider for Software {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            binds_context: false,
            hardware: false,
            max_payload: u32::MAX as usize,
            permissions: Permissions {
                inspect: "read the keystore",
                wrap: "read the keystore",
                unwrap: "read the keystore",
            },
        }
    }

    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error> {
        match self.current()?.keys.get(key.as_str()) {
            Some(Some(_)) => Ok(KeyState::Usable { version: String::new() }),
            Some(None) => Ok(KeyState::Unusable(Unusable::Disabled)),
            None => Err(Error::NoSuchKey),
        }
    }

    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let payload = Payload::bind(secret, context)?;
        let bytes = self.with_key(key, |kek| Ok(kek.wrap(payload.bytes())))?;
        Ok(Wrapped { bytes, version: String::new() })
    }

    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let bytes = self.with_key(key, |kek| kek.unwrap(&wrapped.bytes).ok_or(Error::Mismatch))?;
        if !wrapped.version.is_empty() {
            return Err(Error::Mismatch);
        }
        Payload::unwrapped(bytes).release(context)
    }
}
