//! The file that holds a device's state: AES-256-GCM under a key of the caller's, or one made from a passphrase.
//!
//! `"keyfold-device\n" || version(1) || derivation(1) || salt(16) || nonce(12) || ciphertext || tag(16)`; all before the
//! nonce is authenticated too.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    rand,
};
use secret::Secret;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const MAGIC: &[u8; 16] = b"keyfold-device\n\x01";
const SALT_LEN: usize = 16;
const HEADER_LEN: usize = MAGIC.len() + 1 + SALT_LEN;
const NONCE_LEN: usize = 12;
/// Far more than a state needs.
const MAX_LEN: u64 = 4 * 1024 * 1024;

/// Why a device's state cannot be kept or taken up.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refused.
    #[error("the state file cannot be read or written")]
    Io(#[from] io::Error),
    /// The key has not 32 bytes, or the passphrase is longer than Argon2 takes.
    #[error("not a key for a state file")]
    Key,
    /// Not a state file of this version, or one whose key is made in another way.
    #[error("not a state file of this version and kind of key")]
    Format,
    /// The key or passphrase is wrong, or the file was altered.
    #[error("the key or passphrase is wrong, or the state file was altered")]
    Locked,
    /// What it holds is no state of this version.
    #[error("the state file holds no state of this version")]
    Content,
}

/// Where a device keeps its state, and the key to it. Written with mode 0600, atomically and durably.
pub struct StateFile {
    path: PathBuf,
    key: Secret,
    header: [u8; HEADER_LEN],
}

/// How the file's key comes about.
#[derive(Clone, Copy)]
enum Derivation {
    Given = 0,
    Argon2id = 1,
}

impl StateFile {
    /// A file under a key of 32 bytes, such as one that the platform's key store holds.
    ///
    /// # Errors
    /// [`StateError::Key`].
    pub fn with_key(path: impl Into<PathBuf>, key: Secret) -> Result<Self, StateError> {
        if key.len() != 32 {
            return Err(StateError::Key);
        }
        Ok(Self { path: path.into(), key, header: header(Derivation::Given, [0; SALT_LEN]) })
    }

    /// A file under a passphrase: Argon2id (RFC 9106) with 64 MiB, 3 passes, 4 lanes. The salt is that of the file where
    /// there is one, else a new one.
    ///
    /// # Errors
    /// [`StateError::Io`], [`StateError::Format`], [`StateError::Key`].
    pub fn with_passphrase(path: impl Into<PathBuf>, passphrase: &Secret) -> Result<Self, StateError> {
        let path = path.into();
        let header = match read_bounded(&path) {
            Ok(bytes) => *bytes.first_chunk().ok_or(StateError::Format)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => header(Derivation::Argon2id, new_salt()),
            Err(error) => return Err(error.into()),
        };
        let salt: [u8; SALT_LEN] = *header.last_chunk().expect("invariant: a header ends in its salt");
        if header != self::header(Derivation::Argon2id, salt) {
            return Err(StateError::Format);
        }
        Ok(Self { path, key: derive(passphrase, &salt)?, header })
    }

    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, StateError> {
        let mut bytes = read_bounded(&self.path)?;
        let (header, rest) = bytes.split_first_chunk_mut::<HEADER_LEN>().ok_or(StateError::Format)?;
        if *header != self.header {
            return Err(StateError::Format);
        }
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(StateError::Format)?;
        let nonce = Nonce::from(&*nonce);
        let plain =
            self.cipher().open_in_place(nonce, Aad::from(self.header), sealed).map_err(|_| StateError::Locked)?;
        Ok(Zeroizing::new(plain.to_vec()))
    }

    pub(crate) fn write(&self, plain: &[u8]) -> Result<(), StateError> {
        let mut sealed = Zeroizing::new(plain.to_vec());
        let (nonce, tag) = self
            .cipher()
            .seal_in_place_separate_tag(Aad::from(self.header), &mut sealed)
            .expect("invariant: a state is shorter than AES-GCM allows");
        let file = [&self.header, nonce.as_ref().as_slice(), &sealed, tag.as_ref()].concat();
        replace(&self.path, &file)?;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the cipher is keyed straight from the secret")]
    fn cipher(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, self.key.expose()).expect("invariant: the key has 32 bytes")
    }
}

fn header(derivation: Derivation, salt: [u8; SALT_LEN]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()] = derivation as u8;
    header[MAGIC.len() + 1..].copy_from_slice(&salt);
    header
}

fn new_salt() -> [u8; SALT_LEN] {
    let mut salt = [0; SALT_LEN];
    rand::fill(&mut salt).expect("invariant: the system random number generator works");
    salt
}

#[expect(clippy::disallowed_methods, reason = "Argon2 reads the passphrase where it lies")]
fn derive(passphrase: &Secret, salt: &[u8; SALT_LEN]) -> Result<Secret, StateError> {
    let params = Params::new(64 * 1024, 3, 4, Some(32)).expect("invariant: RFC 9106 parameters are valid");
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose(), salt, key.as_mut_slice())
        .map_err(|_| StateError::Key)?;
    Ok(Secret::copied_from(key.as_slice()))
}

fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(MAX_LEN).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Either the old file or the new one is there afterwards, whatever happens.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{StateError, StateFile};
    use secret::Secret;
    use std::fs;

    #[test]
    fn only_the_key_that_wrote_a_state_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device");
        let passphrase = Secret::copied_from(b"open sesame");
        let file = StateFile::with_passphrase(&path, &passphrase).unwrap();
        file.write(b"first").unwrap();
        file.write(b"second").unwrap();
        assert_eq!(*StateFile::with_passphrase(&path, &passphrase).unwrap().read().unwrap(), b"second");

        let wrong = StateFile::with_passphrase(&path, &Secret::copied_from(b"open")).unwrap();
        assert!(matches!(wrong.read(), Err(StateError::Locked)));
        let other_kind = StateFile::with_key(&path, Secret::random(32)).unwrap();
        assert!(matches!(other_kind.read(), Err(StateError::Format)));
    }

    #[test]
    fn no_altered_byte_goes_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device");
        let file = StateFile::with_key(&path, Secret::random(32)).unwrap();
        file.write(b"state").unwrap();
        let good = fs::read(&path).unwrap();
        assert!(!good.windows(5).any(|window| window == b"state"));
        for at in 0..good.len() {
            let mut altered = good.clone();
            altered[at] ^= 1;
            fs::write(&path, altered).unwrap();
            assert!(matches!(file.read(), Err(StateError::Locked | StateError::Format)), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(matches!(file.read(), Err(StateError::Locked | StateError::Format)), "{at} bytes");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device");
        fs::write(folder.path().join("device.new"), b"left by a crash").unwrap();
        StateFile::with_key(&path, Secret::random(32)).unwrap().write(b"state").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!folder.path().join("device.new").exists());
    }
}
