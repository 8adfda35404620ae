use crate::{Delivery, Limits, Message, PauseReason, Refused, Sink, Trouble};
use async_trait::async_trait;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Readable and writable by the owner alone.
const MODE: u32 = 0o600;

/// A file of one line per message, rotated by size to `<path>.1`, `<path>.2` and so on, oldest first. `Ok` means that
/// the lines are on disk (fsync). Rotated files are never deleted.
#[derive(Debug)]
pub struct FileSink {
    file: Arc<Mutex<RotatingFile>>,
}

impl FileSink {
    /// Opens or creates `path`, mode 0600, and removes a last line that a crash left unfinished. A file that has lines is
    /// rotated before it would exceed `max_bytes`.
    ///
    /// # Errors
    /// The file cannot be opened, repaired or protected.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = RotatingFile::open(path.to_owned(), max_bytes)?;
        Ok(Self { file: Arc::new(Mutex::new(file)) })
    }
}

#[async_trait]
impl Sink for FileSink {
    fn delivery(&self) -> Delivery {
        Delivery::Confirmed
    }

    fn limits(&self) -> Limits {
        Limits { messages: 4_096, bytes: 8 * 1024 * 1024 }
    }

    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble> {
        let mut lines = Vec::with_capacity(batch.iter().map(|message| message.body.len() + 1).sum());
        for Message { body, .. } in batch {
            lines.extend_from_slice(body);
            lines.push(b'\n');
        }
        let file = Arc::clone(&self.file);
        let write = move || file.lock().unwrap_or_else(PoisonError::into_inner).append(&lines);
        let written = tokio::task::spawn_blocking(write).await.map_err(|_| Trouble::Retry { after: None })?;
        written.map(|()| Vec::new()).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Trouble::Paused(PauseReason::NotWritable),
            _ => Trouble::Retry { after: None },
        })
    }
}

#[derive(Debug)]
struct RotatingFile {
    path: PathBuf,
    max_bytes: u64,
    file: File,
    /// How much of the file is whole lines that were confirmed or found at the start.
    len: u64,
}

impl RotatingFile {
    fn open(path: PathBuf, max_bytes: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(&path)?;
        file.set_permissions(Permissions::from_mode(MODE))?;
        let len = whole_lines(&mut file)?;
        file.set_len(len)?;
        file.sync_all()?;
        sync_dir(&path)?;
        Ok(Self { path, max_bytes, file, len })
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        // What an earlier attempt left beyond the confirmed lines goes first: it will be delivered again.
        self.file.set_len(self.len)?;
        if self.len > 0 && self.len + lines.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.len += lines.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, free_name(&self.path)?)?;
        *self = Self::open(self.path.clone(), self.max_bytes)?;
        Ok(())
    }
}

/// `<path>.<n>`, one above the highest there is.
fn free_name(path: &Path) -> io::Result<PathBuf> {
    let name = |n: u64| {
        let mut name = OsString::from(path);
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    let mut highest = 0;
    for entry in fs::read_dir(parent(path))? {
        let other = entry?.path();
        let suffix = other.extension().and_then(|suffix| suffix.to_str()?.parse().ok());
        let same = suffix.is_some_and(|n| other.file_name() == name(n).file_name());
        highest = highest.max(suffix.filter(|_| same).unwrap_or(0));
    }
    Ok(name(highest + 1))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename or a creation in the file's directory durable.
fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// The length up to and including the last newline.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
