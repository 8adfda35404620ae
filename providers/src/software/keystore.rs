//! The keystore file: read with its mode checked, replaced as a whole, never half written.

use super::client::Kek;
use super::document::Document;
use secret::Secret;
use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A file of key-encryption keys, each wrapped under a key derived from one passphrase.
#[derive(Debug)]
pub struct Keystore {
    path: PathBuf,
    root: Kek,
}

/// Why a keystore cannot be read.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("the keystore cannot be read")]
    Io(#[from] io::Error),
    /// Someone but the owner may read or write the file.
    #[error("the keystore has mode {mode:03o}, but only its owner may have access: chmod 600")]
    Exposed {
        /// The permission bits of the file.
        mode: u32,
    },
    /// The file is not a keystore of this version.
    #[error("the keystore is not in the format of this version")]
    Format(#[from] serde_json::Error),
    /// The file names a format or an Argon2 cost that this version does not accept.
    #[error("the keystore has a format or an Argon2 cost that is not accepted")]
    Unsupported,
    /// The passphrase does not belong to this keystore.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// An entry was not written by who knows the passphrase.
    #[error("the key `{name}` in the keystore has been altered")]
    Altered {
        /// The name of the entry.
        name: String,
    },
}

/// Why a keystore was not changed. The file is then as it was before.
#[derive(Debug, Error)]
pub enum EditError {
    /// There is a keystore, or a key, of that name already.
    #[error("the name is taken")]
    Exists,
    /// There is no key of that name.
    #[error("no such key")]
    NoSuchKey,
    /// The keystore as it is now cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The changed keystore cannot be written.
    #[error("the keystore cannot be written")]
    Io(#[from] io::Error),
}

impl Keystore {
    /// Creates a keystore without keys, mode 0600. Never replaces a file.
    pub fn create(path: &Path, passphrase: &Secret) -> Result<Self, EditError> {
        let (document, root) = Document::create(passphrase);
        let keystore = Self { path: path.to_owned(), root };
        let _lock = keystore.lock()?;
        if path.try_exists()? {
            return Err(EditError::Exists);
        }
        keystore.replace(&document)?;
        Ok(keystore)
    }

    /// Opens an existing keystore. Derives the key once, in tens of milliseconds.
    pub(super) fn open(path: &Path, passphrase: &Secret) -> Result<Self, OpenError> {
        let (document, _) = read(path)?;
        let root = document.derive(passphrase).ok_or(OpenError::Unsupported)?;
        Ok(Self { path: path.to_owned(), root })
    }

    /// The keys as the file holds them now.
    pub(super) fn load(&self) -> Result<Loaded, OpenError> {
        let (document, file) = self.document()?;
        let keys = document.open(&self.root).map_err(|name| OpenError::Altered { name })?;
        Ok(Loaded { keys, stamp: Stamp::of(&file.metadata()?), _file: file })
    }

    /// Whether the file is still the one `loaded` came from. Costs one `stat`.
    pub(super) fn is_current(&self, loaded: &Loaded) -> io::Result<bool> {
        fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata) == loaded.stamp)
    }

    /// Changes the newest content of the file; `change` says `false` to leave it. Waits for other editors.
    pub(super) fn edit(&self, change: impl FnOnce(&mut Document, &Kek) -> bool) -> Result<bool, EditError> {
        let _lock = self.lock()?;
        let (mut document, _) = self.document()?;
        let changed = change(&mut document, &self.root);
        if changed {
            self.replace(&document)?;
        }
        Ok(changed)
    }

    fn document(&self) -> Result<(Document, File), OpenError> {
        let (document, file) = read(&self.path)?;
        if document.belongs_to(&self.root) { Ok((document, file)) } else { Err(OpenError::WrongPassphrase) }
    }

    /// Held over read, change and write, so that two editors cannot lose each other's keys.
    fn lock(&self) -> io::Result<File> {
        let file = create_private().open(self.beside("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// After this returns, the new content survives a power cut; before, the old one does.
    fn replace(&self, document: &Document) -> io::Result<()> {
        let temporary = self.beside("new");
        let mut file = create_private().truncate(true).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(document)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn beside(&self, extension: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }
}

/// The keys of one version of the file.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Every key by name; `None` for a disabled one.
    pub(super) keys: BTreeMap<String, Option<Kek>>,
    stamp: Stamp,
    /// Kept open so that no later version of the file is given the same inode.
    _file: File,
}

/// What tells one version of the file from the others: it is replaced by a new inode, and edited at a new time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}

fn read(path: &Path) -> Result<(Document, File), OpenError> {
    let file = File::open(path)?;
    // Asked of the open file, so that the path cannot change its meaning in between.
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(OpenError::Exposed { mode });
    }
    let document = serde_json::from_str(&io::read_to_string(&file)?)?;
    Ok((document, file))
}

fn create_private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
