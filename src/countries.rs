//! In which country an address is, as a database in MaxMind's format says that the operator keeps up to date.

use maxminddb::{MaxMindDbError, PathElement, Reader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::time::SystemTime;
use std::{fs, io};

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CountriesError {
    /// The file cannot be read.
    #[error("the country database `{}` cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("`{}` is no database in MaxMind's format", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: MaxMindDbError,
    },
}

/// Which country each address is in. By default nobody knows.
#[derive(Debug, Default)]
pub struct Countries(Option<Database>);

#[derive(Debug)]
struct Database {
    path: PathBuf,
    loaded: RwLock<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    reader: Reader<Vec<u8>>,
    /// When the file was last changed.
    changed_at: SystemTime,
}

impl Countries {
    /// What the file says.
    pub fn open(path: &Path) -> Result<Self, CountriesError> {
        let loaded = RwLock::new(load(path)?);
        Ok(Self(Some(Database { path: path.into(), loaded })))
    }

    /// ISO 3166-1 alpha-2, upper case; `None` where the database does not say, as for private addresses.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<String> {
        let loaded = self.0.as_ref()?.loaded.read().expect("invariant: nothing panics while holding this lock");
        let found = loaded.reader.lookup(address.to_canonical()).ok()?;
        let place = [PathElement::Key("country"), PathElement::Key("iso_code")];
        let code = found.decode_path::<String>(&place).ok()??;
        Some(code).filter(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
    }

    /// Reads the file again where it has changed. Where that fails, what was read before stays in use.
    pub fn refresh(&self) -> Result<(), CountriesError> {
        let Some(Database { path, loaded }) = &self.0 else { return Ok(()) };
        let known = loaded.read().expect("invariant: nothing panics while holding this lock").changed_at;
        if changed_at(path)? != known {
            let fresh = load(path)?;
            *loaded.write().expect("invariant: nothing panics while holding this lock") = fresh;
        }
        Ok(())
    }
}

/// The time is taken first: a file that is replaced meanwhile is read once more.
fn load(path: &Path) -> Result<Loaded, CountriesError> {
    let changed_at = changed_at(path)?;
    let bytes = fs::read(path).map_err(|source| CountriesError::Read { path: path.into(), source })?;
    let reader = Reader::from_source(bytes).map_err(|source| CountriesError::Format { path: path.into(), source })?;
    tracing::info!(built = reader.metadata().build_epoch, "the country database was read");
    Ok(Loaded { reader, changed_at })
}

fn changed_at(path: &Path) -> Result<SystemTime, CountriesError> {
    let changed_at = fs::metadata(path).and_then(|metadata| metadata.modified());
    changed_at.map_err(|source| CountriesError::Read { path: path.into(), source })
}
