//! `[providers.<name>]`: where customers' keys live.

use super::SecretSource;
use serde::Deserialize;
use std::path::PathBuf;

/// A place where keys live.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Provider {
    /// Keys in a file under a passphrase. Not an HSM.
    Software {
        /// The keystore, mode 0600.
        keystore: PathBuf,
        /// What opens it.
        passphrase: SecretSource,
        /// How it may be called.
        #[serde(default)]
        calls: Calls,
    },
    /// A PKCS#11 module.
    Pkcs11 {
        /// The vendor's library.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// The user PIN.
        pin: SecretSource,
        /// How it may be called; one session for each call at a time.
        #[serde(default)]
        calls: Calls,
    },
    /// OpenBao or Vault Transit.
    Openbao {
        /// `https://host:port`.
        address: String,
        /// Where transit is mounted.
        #[serde(default = "default_mount")]
        mount: String,
        /// The namespace of the mount.
        namespace: Option<String>,
        /// The token.
        token: SecretSource,
        /// The only certificate authorities to trust, PEM.
        ca: Option<PathBuf>,
        /// How it may be called.
        #[serde(default)]
        calls: Calls,
    },
}

/// How a provider may be called.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// For one call with all its retries.
    pub deadline_ms: u64,
    /// Calls at the same time.
    pub concurrency: usize,
}

impl Default for Calls {
    fn default() -> Self {
        Self { deadline_ms: 5_000, concurrency: 16 }
    }
}

impl Provider {
    /// How it may be called.
    #[must_use]
    pub fn calls(&self) -> Calls {
        let (Self::Software { calls, .. } | Self::Pkcs11 { calls, .. } | Self::Openbao { calls, .. }) = self;
        *calls
    }
}

fn default_mount() -> String {
    "transit".into()
}
