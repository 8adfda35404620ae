//! The configuration of `keyfold witness serve`: a file of its own, on a machine of its own.

use super::{ConfigError, SecretSource, Tls, parse_file, secret_bytes};
use audit::Origin;
use audit::cosignature::CosignerKey;
use audit::note::Verifier;
use secret::Secret;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Its name in cosignatures: a URL without scheme, by convention. Keep it for ever.
    pub name: String,
    /// Its key: 64 hexadecimal digits.
    pub key: SecretSource,
    /// Where it remembers what it has cosigned.
    pub state: PathBuf,
    /// Certificate and key.
    pub tls: Tls,
    /// The logs that it watches.
    pub logs: Vec<Log>,
    /// Relative paths start here: the folder of the file.
    #[serde(skip)]
    folder: PathBuf,
}

/// A log to watch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Its verifier key, which names its origin.
    pub vkey: String,
}

impl WitnessConfig {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = parse_file(path)?;
        Ok(Self { folder: path.parent().map(Path::to_path_buf).unwrap_or_default(), ..config })
    }

    /// Its key.
    pub fn key(&self) -> Result<CosignerKey, ConfigError> {
        let name = Origin::new(&self.name).map_err(|_| ConfigError::Invalid("`name` cannot name a witness"))?;
        let digits = secret_bytes(&self.folder, &self.key)?;
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits.as_slice(), seed.as_mut_slice())
            .map_err(|_| ConfigError::Invalid("the witness's key must be 64 hexadecimal digits"))?;
        CosignerKey::from_seed(&name, &Secret::copied_from(seed.as_slice()))
            .map_err(|_| ConfigError::Invalid("the witness's key must be 64 hexadecimal digits"))
    }

    /// The folder of what it has cosigned.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.folder.join(&self.state)
    }

    /// The keys of the logs; each log once.
    pub fn verifiers(&self) -> Result<Vec<Verifier>, ConfigError> {
        let parse = |log: &Log| {
            Verifier::parse(&log.vkey).map_err(|_| ConfigError::Invalid("`logs.vkey` must be a log's verifier key"))
        };
        let verifiers: Vec<_> = self.logs.iter().map(parse).collect::<Result<_, _>>()?;
        let mut origins: Vec<_> = verifiers.iter().map(Verifier::origin).collect();
        origins.sort_unstable();
        if origins.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::Invalid("two `[[logs]]` have one origin"));
        }
        Ok(verifiers)
    }

    /// The TLS server.
    pub fn tls(&self) -> Result<rustls::ServerConfig, ConfigError> {
        self.tls.server(&self.folder)
    }
}
