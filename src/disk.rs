//! Watches the disk: restores stop before the log would have to.

use crate::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the disk of the database has room.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    min_free: u64,
    low: AtomicBool,
}

impl Disk {
    /// Watches the file system of `folder`; below `min_free` bytes it counts as nearly full.
    #[must_use]
    pub fn new(folder: &Path, min_free: u64) -> Self {
        let disk = Self { folder: folder.into(), min_free, low: AtomicBool::new(false) };
        disk.look();
        disk
    }

    /// Looks again. A file system that cannot be looked at counts as full: in doubt, refuse.
    pub fn look(&self) {
        let free = rustix::fs::statvfs(&self.folder).map(|stat| stat.f_bavail * stat.f_frsize);
        let low = !free.is_ok_and(|free| free >= self.min_free);
        metrics::gauge!("keyfold_disk_low").set(if low { 1.0 } else { 0.0 });
        if self.low.swap(low, Ordering::Relaxed) != low {
            tracing::warn!(low, "the room on the database's disk has changed");
        }
    }

    /// Refuses while the disk is nearly full.
    pub fn check(&self) -> Result<(), Error> {
        if self.low.load(Ordering::Relaxed) { Err(Error::DiskLow) } else { Ok(()) }
    }
}
