//! From configured providers to rooms: each vendor's options, in one place.

use super::CallLimits;
use crate::config::{Config, Provider};
use providers::openbao::{self, OpenBao};
use providers::pkcs11::{self, Pkcs11};
use providers::software::Software;
use providers::{ImportKey, KeyProvider, RewrapKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// A connected provider, with what only some can do.
#[derive(Debug)]
pub struct Room {
    /// Wraps and unwraps.
    pub keys: Arc<dyn KeyProvider>,
    /// Moves secrets between its keys without showing them.
    pub rewrap: Option<Arc<dyn RewrapKey>>,
    /// Takes in keys made elsewhere.
    pub import: Option<Arc<dyn ImportKey>>,
    /// How it may be called.
    pub limits: CallLimits,
}

/// A configured provider cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("provider `{name}` cannot be used")]
pub struct ConnectError {
    name: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// What the opening of a room may fail with.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Connects every configured provider; fails with the first that cannot be used.
pub async fn all(config: &Config) -> Result<BTreeMap<String, Room>, ConnectError> {
    let mut rooms = BTreeMap::new();
    for (name, provider) in &config.providers {
        let room = connect(config, name, provider).await;
        rooms.insert(name.clone(), room.map_err(|source| ConnectError { name: name.clone(), source })?);
    }
    Ok(rooms)
}

async fn connect(config: &Config, name: &str, provider: &Provider) -> Result<Room, Failure> {
    let calls = provider.calls();
    let limits =
        CallLimits { deadline: Duration::from_millis(calls.deadline_ms), concurrency: calls.concurrency.max(1) };
    let plain = |keys: Arc<dyn KeyProvider>| Room { keys, rewrap: None, import: None, limits };
    Ok(match provider {
        Provider::Software { keystore, passphrase, .. } => {
            warn!(provider = name, "this provider keeps keys in a file: it is not an HSM");
            plain(Arc::new(Software::open(&config.path(keystore), &config.secret(passphrase)?)?))
        }
        Provider::Pkcs11 { module, token, pin, calls } => {
            let options = pkcs11::Options {
                module: config.path(module),
                token: token.clone(),
                pin: config.secret(pin)?,
                max_sessions: calls.concurrency,
            };
            plain(Arc::new(tokio::task::spawn_blocking(move || Pkcs11::open(options)).await??))
        }
        Provider::Openbao { address, mount, namespace, token, ca, .. } => {
            let options = openbao::Options {
                address: address.clone(),
                mount: mount.clone(),
                namespace: namespace.clone(),
                token: config.secret(token)?,
                ca_pem: ca.as_deref().map(|ca| config.bytes(ca)).transpose()?,
            };
            plain(Arc::new(OpenBao::connect(options).await?))
        }
    })
}
