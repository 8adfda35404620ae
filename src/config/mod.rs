//! The configuration file: the only reader of files and environment. Unknown fields are refused; secrets come by file,
//! environment or systemd credential, never inline.

mod attestation;
pub mod azure_key_vault;
mod cosigning;
mod country;
mod findings;
pub mod notices;
mod policies;
mod provider;
mod quota;
pub mod sink;
pub mod sso;
mod witness;

pub use cosigning::{Release, Witness};
pub use country::Country;
pub use findings::Findings;
pub use policies::Policies;
pub use provider::{Calls, Login, Pkcs11, Provider};
pub use witness::WitnessConfig;

use crate::limits::Rates;
use audit::Origin;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secret::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{env, fs, io};
use zeroize::Zeroizing;

/// The configuration cannot be used; says which part, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("`{}` is not a configuration", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where, and what was expected.
        source: Box<toml::de::Error>,
    },
    /// A secret's environment variable is not set.
    #[error("the environment variable `{0}` is not set")]
    NoVariable(String),
    /// A secret is too short to be one.
    #[error("`{}` holds fewer than {min} bytes", path.display())]
    ShortSecret {
        /// Which file.
        path: PathBuf,
        /// At least so many.
        min: usize,
    },
    /// A certificate or key is not PEM.
    #[error("`{}` is not a PEM file with what is needed", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The policies cannot be read.
    #[error("`{}` is not a set of policies", path.display())]
    Policies {
        /// Which file.
        path: PathBuf,
        /// Where, and what is wrong.
        source: ::policies::PolicyError,
    },
    /// A value does not fit another.
    #[error("{0}")]
    Invalid(&'static str),
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// What devices reach it by: scheme, host and port, no path. Signed requests are made for it.
    pub public_url: String,
    /// First part of every log's name: 1 to 126 visible ASCII characters. Keep it for ever.
    pub log_host: String,
    /// Certificate and key.
    pub tls: Tls,
    /// Where state is kept.
    pub database: Database,
    /// The key that seals the broker's own keys.
    pub root: Root,
    /// The first administrator.
    pub admin: Admin,
    /// Further administrators: what needs two people needs one of these.
    #[serde(default)]
    pub admins: Vec<Admin>,
    /// Where customers' keys live, by name.
    pub providers: BTreeMap<String, provider::Entry>,
    /// Where events are delivered.
    #[serde(default)]
    pub sinks: Vec<sink::Entry>,
    /// Who watches the logs.
    #[serde(default)]
    pub witnesses: Vec<Witness>,
    /// Whether a release waits for them.
    #[serde(default)]
    pub release: Release,
    /// How people are told.
    #[serde(default)]
    pub notices: notices::Notices,
    /// What decides whether.
    #[serde(default)]
    pub policies: Policies,
    /// Which tenants demand certain makes of authenticators.
    #[serde(default)]
    pub attestation: Vec<attestation::Attestation>,
    /// Where administrators may sign on.
    #[serde(default)]
    pub sso: Vec<sso::Issuer>,
    /// How it is known where requests come from.
    #[serde(default)]
    pub country: Country,
    /// Where users log in, so that policies know how long ago.
    #[serde(default)]
    pub login: Vec<sso::Issuer>,
    /// Which findings are raised from the log.
    #[serde(default)]
    pub findings: Findings,
    /// How many restores users and tenants may ask for.
    #[serde(default)]
    pub quota: Vec<quota::Quota>,
    /// How often devices and tenants may ask.
    #[serde(default)]
    pub rates: Rates,
    /// How long things may take.
    #[serde(default)]
    pub times: Times,
    /// Connections at the same time.
    #[serde(default = "default_connections")]
    pub max_connections: usize,
    /// Relative paths start here: the folder of the file.
    #[serde(skip)]
    folder: PathBuf,
}

/// Certificate chain and private key, PEM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
}

/// The database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    path: PathBuf,
    /// Below so much free room nothing is wrapped or released.
    #[serde(default = "default_min_free")]
    pub min_free_mib: u64,
}

/// The root key: any provider's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// One of `[providers]`.
    pub provider: String,
    /// What that provider calls the key.
    pub key: String,
}

/// An administrator, by API token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// What events call the token's bearer.
    #[serde(default = "default_admin")]
    pub name: String,
    token: SecretSource,
}

/// An administrator's name, and their API token.
pub type NamedToken = (String, Zeroizing<Vec<u8>>);

/// A secret by reference.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// A file, of which a last newline is not part.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential (`LoadCredential=`).
    Credential(String),
}

/// How long things may take.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// From a restore's request to its release.
    pub restore_minutes: u64,
    /// For the TLS handshake, for the first request of a connection, and for the headers of each.
    pub headers_seconds: u64,
    /// For requests under way when the broker stops.
    pub shutdown_seconds: u64,
    /// From one test of the KEKs in use to the next.
    pub kek_test_seconds: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { restore_minutes: 60, headers_seconds: 10, shutdown_seconds: 30, kek_test_seconds: 60 }
    }
}

fn default_connections() -> usize {
    20_000
}

fn default_min_free() -> u64 {
    256
}

fn default_admin() -> String {
    "operator".into()
}

impl Config {
    /// Reads and checks the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = parse_file(path)?;
        config.folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let has_path = self.public_url.splitn(4, '/').nth(3).is_some();
        if !self.public_url.starts_with("https://") || has_path {
            return Err(ConfigError::Invalid(
                "`public_url` must be https://HOST[:PORT] without a path or a last slash",
            ));
        }
        if !self.providers.contains_key(&self.root.provider) {
            return Err(ConfigError::Invalid("`root.provider` is not one of `[providers]`"));
        }
        if self.log_host.contains('/') || Origin::new(&format!("{}/{}", self.log_host, "x".repeat(128))).is_err() {
            return Err(ConfigError::Invalid(
                "`log_host` must be 1 to 126 visible ASCII characters without / + # \" \\",
            ));
        }
        self.sinks.iter().try_for_each(sink::Entry::check)?;
        let names: BTreeSet<_> = self.sinks.iter().map(|sink| &sink.name).collect();
        if names.len() < self.sinks.len() {
            return Err(ConfigError::Invalid("two `[[sinks]]` have one name, and so one cursor"));
        }
        self.notices.check()?;
        self.check_issuers()?;
        self.check_quotas()?;
        self.check_witnesses()
    }

    /// A path of the file, made absolute from the file's folder.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The database's file.
    #[must_use]
    pub fn database_path(&self) -> PathBuf {
        self.path(&self.database.path)
    }

    /// The bytes of a file of the configuration.
    pub fn bytes(&self, path: &Path) -> Result<Vec<u8>, ConfigError> {
        read(&self.path(path))
    }

    /// Each administrator's name and token, the latter of at least 32 bytes.
    pub fn admin_tokens(&self) -> Result<Vec<NamedToken>, ConfigError> {
        let token = |admin: &Admin| {
            let token = self.secret_bytes(&admin.token)?;
            if token.len() >= 32 {
                Ok((admin.name.clone(), token))
            } else {
                Err(ConfigError::Invalid("`admin.token` must have at least 32 bytes"))
            }
        };
        std::iter::once(&self.admin).chain(&self.admins).map(token).collect()
    }

    /// A secret.
    pub fn secret(&self, source: &SecretSource) -> Result<Secret, ConfigError> {
        Ok(Secret::copied_from(&self.secret_bytes(source)?))
    }

    /// The file of a secret that is read again and again.
    pub fn secret_path(&self, source: &SecretSource) -> Result<PathBuf, ConfigError> {
        secret_path(&self.folder, source)
    }

    fn secret_bytes(&self, source: &SecretSource) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
        secret_bytes(&self.folder, source)
    }

    /// The TLS server of the file.
    pub fn tls(&self) -> Result<rustls::ServerConfig, ConfigError> {
        self.tls.server(&self.folder)
    }
}

impl Tls {
    /// A TLS server: TLS 1.3 only, X25519MLKEM768 preferred. Relative paths start at `folder`.
    fn server(&self, folder: &Path) -> Result<rustls::ServerConfig, ConfigError> {
        let pem = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ConfigError::Pem { path, source }
        };
        let (certificate, key) = (folder.join(&self.certificate), folder.join(&self.key));
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(&certificate).and_then(Iterator::collect).map_err(pem(&certificate))?;
        let private = PrivateKeyDer::from_pem_file(&key).map_err(pem(&key))?;
        let builder = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
        let mut tls = builder
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|_| ConfigError::Invalid("`tls.key` is not the key of `tls.certificate`"))?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(tls)
    }
}

/// A file of TOML, as what it should be.
fn parse_file<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = String::from_utf8(read(path)?).map_err(|_| ConfigError::Invalid("the configuration is not UTF-8"))?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })
}

fn secret_path(folder: &Path, source: &SecretSource) -> Result<PathBuf, ConfigError> {
    match source {
        SecretSource::File(path) => Ok(folder.join(path)),
        SecretSource::Env(_) => {
            Err(ConfigError::Invalid("a secret that is read at each login must be a `file` or a `credential`"))
        }
        SecretSource::Credential(name) => {
            let folder = env::var_os("CREDENTIALS_DIRECTORY");
            let folder = folder.ok_or_else(|| ConfigError::NoVariable("CREDENTIALS_DIRECTORY".into()))?;
            Ok(PathBuf::from(folder).join(name))
        }
    }
}

fn secret_bytes(folder: &Path, source: &SecretSource) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    match source {
        SecretSource::Env(name) => {
            let value = env::var(name).map_err(|_| ConfigError::NoVariable(name.clone()))?;
            Ok(Zeroizing::new(value.into_bytes()))
        }
        SecretSource::File(_) | SecretSource::Credential(_) => secret_file(&secret_path(folder, source)?),
    }
}

/// A secret in a file of its own, without a last newline.
pub fn secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let mut bytes = Zeroizing::new(read(path)?);
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() { Err(ConfigError::ShortSecret { path: path.into(), min: 1 }) } else { Ok(bytes) }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::Read { path: path.into(), source })
}
