//! What a witness has cosigned, one file for each log: the newest checkpoint with both signatures.

use audit::Origin;
use audit::cosignature::{Cosigner, cosignatures};
use audit::note::{self, Checkpoint, MAX_NOTE, NoteError, Verifier};
use aws_lc_rs::digest::{SHA256, digest};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// The file of one log.
#[derive(Debug)]
pub(crate) struct Record {
    folder: PathBuf,
    name: String,
    verifier: Verifier,
    cosigner: Cosigner,
}

/// What the witness remembers cannot be read or written. It cosigns nothing then.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system failed, or the folder is not there: what was cosigned is then unknown.
    #[error("the witness's folder cannot be used")]
    Io(#[from] io::Error),
    /// A file holds something else than a checkpoint of its log that this witness has cosigned.
    #[error("the file of `{0}` is not what this witness wrote")]
    Altered(Origin),
}

/// The newest checkpoint that was cosigned.
#[derive(Debug, Clone)]
pub(crate) struct Cosigned {
    pub(crate) checkpoint: Checkpoint,
    /// Unix seconds.
    pub(crate) at: u64,
    /// The note with the log's signatures and the cosignature.
    pub(crate) note: String,
}

impl Record {
    pub(crate) fn new(folder: &Path, verifier: Verifier, cosigner: Cosigner) -> Self {
        let name = origin_hash(verifier.origin());
        Self { folder: folder.to_owned(), name, verifier, cosigner }
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The newest checkpoint cosigned; `None` when there was none. The disk is the only memory.
    pub(crate) fn read(&self) -> Result<Option<Cosigned>, RecordError> {
        let mut note = String::new();
        match File::open(self.path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?.take(2 * MAX_NOTE as u64).read_to_string(&mut note)?,
        };
        self.parse(note).map(Some).map_err(|_| RecordError::Altered(self.verifier.origin().clone()))
    }

    fn parse(&self, note: String) -> Result<Cosigned, NoteError> {
        let checkpoint = note::open(&note, std::slice::from_ref(&self.verifier))?;
        let own = cosignatures(&note, std::slice::from_ref(&self.cosigner))?;
        let at = own.first().ok_or(NoteError::Unsigned)?.at;
        if checkpoint.origin == *self.verifier.origin() {
            Ok(Cosigned { checkpoint, at, note })
        } else {
            Err(NoteError::Unsigned)
        }
    }

    /// Replaces what was cosigned, whole or not at all; it is on the disk when this returns.
    pub(crate) fn write(&self, note: &str) -> Result<(), RecordError> {
        let unfinished = self.folder.join(format!("{}.unfinished", self.name));
        let mut file = File::create(&unfinished)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, self.path())?;
        Ok(File::open(&self.folder)?.sync_all()?)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.checkpoint", self.name))
    }
}

/// What the standard calls a log by in URLs: SHA-256 of the origin, in lower-case hexadecimal digits.
pub(crate) fn origin_hash(origin: &Origin) -> String {
    hex::encode(digest(&SHA256, origin.as_str().as_bytes()))
}
