//! Files that commands make. None is ever replaced, and each is on the disk when it is said to be made.

use super::Failure;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A new file that only its owner may read.
pub(super) fn make_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    make(path, 0o600, bytes)
}

/// A new file that others may read, as far as the umask lets them.
pub(super) fn make_shared(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    make(path, 0o666, bytes)
}

fn make(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(|error| format!("`{}` cannot be made: {error}", path.display()))?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}
