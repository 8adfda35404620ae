//! From configured providers to rooms: each vendor's options, in one place.

mod azure_key_vault;

use super::CallLimits;
use crate::config::{self, Calls, Config, ConfigError, Login, Provider, SecretSource};
use providers::aws_kms::{self, AwsKms};
use providers::azure_key_vault::AzureKeyVault;
use providers::google_kms::{self, GoogleKms};
use providers::openbao::{self, OpenBao};
use providers::pkcs11::{self, Pkcs11, Program, TokenUri};
use providers::software::Software;
use providers::{ImportKey, KeyProvider, RewrapKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::{Instrument, info_span, warn};

/// A connected provider, with what only some can do.
#[derive(Debug)]
pub struct Room {
    /// Wraps and unwraps.
    pub keys: Arc<dyn KeyProvider>,
    /// Moves secrets between its keys without showing them.
    pub rewrap: Option<Arc<dyn RewrapKey>>,
    /// Takes in keys made elsewhere.
    pub import: Option<Arc<dyn ImportKey>>,
    /// Runs a module in worker processes, whose restarts are counted.
    pub pkcs11: Option<Arc<Pkcs11>>,
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
    for (name, entry) in &config.providers {
        let room = connect(config, name, &entry.provider).instrument(info_span!("provider", provider = name)).await;
        rooms.insert(name.clone(), room.map_err(|source| ConnectError { name: name.clone(), source })?);
    }
    Ok(rooms)
}

fn limits(calls: Calls) -> CallLimits {
    CallLimits {
        deadline: Duration::from_millis(calls.deadline_ms),
        concurrency: calls.concurrency.max(1),
        per_second: calls.per_second,
        wrap_budget: calls.wrap_budget,
    }
}

async fn connect(config: &Config, name: &str, provider: &Provider) -> Result<Room, Failure> {
    let limits = limits(provider.calls());
    let plain = |keys: Arc<dyn KeyProvider>| Room { keys, rewrap: None, import: None, pkcs11: None, limits };
    Ok(match provider {
        Provider::Software { keystore, passphrase, .. } => {
            warn!(provider = name, "this provider keeps keys in a file: it is not an HSM");
            plain(Arc::new(Software::open(&config.path(keystore), &config.secret(passphrase)?)?))
        }
        Provider::Pkcs11(hsm) => {
            let hsm = Arc::new(Pkcs11::open(pkcs11_options(config, hsm)?).await?);
            Room { pkcs11: Some(hsm.clone()), ..plain(hsm) }
        }
        Provider::AwsKms { region, endpoint, fips, ca, role_arn, external_id, sts_endpoint, .. } => {
            let options = aws_kms::Options {
                region: region.clone(),
                endpoint: endpoint.clone(),
                fips: *fips,
                ca_pem: ca.as_deref().map(|ca| config.bytes(ca)).transpose()?,
                role_arn: role_arn.clone(),
                external_id: external_id.clone(),
                sts_endpoint: sts_endpoint.clone(),
            };
            let kms = Arc::new(AwsKms::connect(options).await?);
            Room { rewrap: Some(kms.clone()), import: Some(kms.clone()), ..plain(kms) }
        }
        Provider::Openbao { address, mount, namespace, login, ca, .. } => {
            let options = openbao::Options {
                address: address.clone(),
                mount: mount.clone(),
                namespace: namespace.clone(),
                login: openbao_login(config, login)?,
                ca_pem: ca.as_deref().map(|ca| config.bytes(ca)).transpose()?,
            };
            let bao = Arc::new(OpenBao::connect(options).await?);
            Room { import: Some(bao.clone()), ..plain(bao) }
        }
        Provider::GoogleKms { endpoint, credentials, quota_project, .. } => {
            let file = credentials.as_ref().map(|source| config.secret(source)).transpose()?;
            let options = google_kms::Options {
                endpoint: endpoint.clone(),
                credentials: file.map_or_else(google_kms::Credentials::default, google_kms::Credentials::File),
                quota_project: quota_project.clone(),
            };
            let google = Arc::new(GoogleKms::connect(options).await?);
            Room { import: Some(google.clone()), ..plain(google) }
        }
        Provider::AzureKeyVault(vault) => {
            let vault = Arc::new(AzureKeyVault::connect(azure_key_vault::options(config, vault)?)?);
            Room { import: Some(vault.clone()), ..plain(vault) }
        }
    })
}

fn openbao_login(config: &Config, login: &Login) -> Result<openbao::Login, ConfigError> {
    Ok(match login {
        Login::Token { token } => openbao::Login::Token(config.secret(token)?),
        Login::AppRole { mount, role_id, secret_id } => openbao::Login::AppRole {
            mount: mount.clone(),
            role_id: role_id.clone(),
            secret_id: config.secret_path(secret_id)?,
        },
        Login::Jwt { mount, role, jwt } | Login::Kubernetes { mount, role, jwt } => {
            openbao::Login::Jwt { mount: mount.clone(), role: role.clone(), jwt: config.secret_path(jwt)? }
        }
        Login::Certificate { mount, role, certificate, key } => {
            // On a line of its own, for the end of a secret's last line is not part of it.
            let certificate = [b"\n", &*config.bytes(certificate)?].concat();
            let identity_pem = config.secret(key)?.followed_by(&certificate);
            openbao::Login::Certificate { mount: mount.clone(), role: role.clone(), identity_pem }
        }
    })
}

/// The worker is this program again, as it was when it was started: a file that has been replaced since does not matter.
fn pkcs11_options(config: &Config, hsm: &config::Pkcs11) -> Result<pkcs11::Options, Failure> {
    let token = match (&hsm.token, &hsm.uri) {
        (Some(label), None) => TokenUri::labelled(label),
        (None, Some(uri)) => uri.parse()?,
        (None, None) | (Some(_), Some(_)) => return Err("it needs either `token` or `uri`".into()),
    };
    let pin = match (&hsm.pin, token.pin_source()) {
        (Some(pin), None) => config.secret(pin)?,
        (None, Some(file)) => config.secret(&SecretSource::File(file.into()))?,
        (None, None) | (Some(_), Some(_)) => return Err("it needs either `pin` or a `pin-source` in `uri`".into()),
    };
    let workers = hsm.workers.max(1);
    Ok(pkcs11::Options {
        module: config.path(&hsm.module),
        library_parameters: hsm.library_parameters.clone(),
        token,
        pin,
        worker: Program { path: "/proc/self/exe".into(), arguments: vec!["pkcs11-worker".into()] },
        environment: hsm.environment.clone(),
        workers,
        sessions: hsm.calls.concurrency.max(1).div_ceil(workers),
        deadline: Duration::from_millis(hsm.call_deadline_ms),
    })
}
