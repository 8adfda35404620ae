use super::{CHECKPOINT, EVENTS, FORMAT, MANIFEST, Manifest, POLICIES, Policies, SCHEMA, Selection, VKEY};
use crate::Hash;
use crate::digest::sha256;
use crate::event::Field;
use crate::leaf::{self, LeafError, Opened, disclosed_field};
use crate::line::line;
use crate::note::{self, Checkpoint, NoteError, Verifier};
use crate::receipt::Receipt;
use crate::tree::{ProofError, leaf_hash, verify_inclusion};
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Writes evidence, event by event. The manifest is written last: a folder without one is no evidence.
#[derive(Debug)]
pub struct EvidenceWriter {
    folder: PathBuf,
    verifier: Verifier,
    note: String,
    head: Checkpoint,
    selection: Selection,
    lines: HashedFile,
    next: u64,
    disclosures: u64,
    erased: u64,
}

/// Why evidence is not complete; what was written of it proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// A file cannot be written, or the folder holds evidence already.
    #[error("cannot write the evidence")]
    Io(#[from] io::Error),
    /// The events were not given in the order of their indices, or not all of the range.
    #[error("event {expected} is due")]
    OutOfOrder {
        /// The index that is due.
        expected: u64,
    },
    /// An event is not readable.
    #[error("event {index} is not readable")]
    Leaf {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        source: LeafError,
    },
    /// An event is not in the log that the checkpoint signs.
    #[error("event {index} is not proven")]
    Proof {
        /// Its index.
        index: u64,
        /// Why not.
        source: ProofError,
    },
    /// The checkpoint is not accepted.
    #[error("the checkpoint is not accepted")]
    Checkpoint(#[from] NoteError),
}

impl EvidenceWriter {
    /// Starts evidence from the log of `verifier` in `folder`, which is created if need be. Every proof leads to the
    /// checkpoint `note`.
    ///
    /// # Errors
    /// [`EvidenceError::Io`], also when there is evidence already; [`EvidenceError::Checkpoint`].
    pub fn create(folder: &Path, verifier: Verifier, note: &str, selection: Selection) -> Result<Self, EvidenceError> {
        let head = note::open(note, std::slice::from_ref(&verifier))?;
        fs::create_dir_all(folder)?;
        Ok(Self {
            lines: HashedFile::create(&folder.join(EVENTS))?,
            folder: folder.to_owned(),
            verifier,
            note: note.to_owned(),
            head,
            next: selection.range.start,
            selection,
            disclosures: 0,
            erased: 0,
        })
    }

    /// Adds the log's first event before a range that does not begin with it: it announces the event key. Nothing is
    /// disclosed of it.
    ///
    /// # Errors
    /// [`EvidenceError`]; the evidence cannot go on after one.
    pub fn announcement(&mut self, leaf: &str, proof: Vec<Hash>) -> Result<(), EvidenceError> {
        let opened = leaf::read::<&str>(leaf, &[]).map_err(|source| EvidenceError::Leaf { index: 0, source })?;
        self.write_line(0, leaf, &opened, (&[], proof))
    }

    /// Adds the next event of the range, or the erasure in place of its disclosures. Only those are kept that the auditor is
    /// to see.
    ///
    /// # Errors
    /// [`EvidenceError`]; the evidence cannot go on after one.
    pub fn append(
        &mut self,
        leaf: &str,
        disclosures: &[String],
        erased: Option<Uuid>,
        proof: Vec<Hash>,
    ) -> Result<(), EvidenceError> {
        let index = self.next;
        if !self.selection.range.contains(&index) {
            return Err(EvidenceError::OutOfOrder { expected: index });
        }
        let unreadable = |source| EvidenceError::Leaf { index, source };
        let opened = leaf::read(leaf, disclosures).map_err(unreadable)?;
        let kept: Vec<String> = self.selection.of(&opened, disclosures);
        let opened = Opened { erased, ..leaf::read(leaf, &kept).map_err(unreadable)? };
        self.write_line(index, leaf, &opened, (&kept, proof))?;
        self.disclosures += kept.len() as u64;
        self.erased += u64::from(erased.is_some());
        self.next += 1;
        Ok(())
    }

    fn write_line(
        &mut self,
        index: u64,
        leaf: &str,
        opened: &Opened,
        (disclosures, proof): (&[String], Vec<Hash>),
    ) -> Result<(), EvidenceError> {
        let included = verify_inclusion(index, self.head.size, &leaf_hash(leaf.as_bytes()), &proof, &self.head.root);
        included.map_err(|source| EvidenceError::Proof { index, source })?;
        let receipt = Receipt { index, proof, checkpoint: self.note.clone() };
        self.lines.write(&line(index, opened, leaf, disclosures, Some(&receipt)))?;
        Ok(self.lines.write(b"\n")?)
    }

    /// Completes the evidence with the policies in force.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn finish(self, policies: &Policies) -> Result<Manifest, EvidenceError> {
        let Self { folder, verifier, note, selection, lines, next, disclosures, erased, .. } = self;
        if next != selection.range.end {
            return Err(EvidenceError::OutOfOrder { expected: next });
        }
        let mut files = BTreeMap::from([(EVENTS.to_owned(), lines.finish()?)]);
        let vkey = format!("{verifier}\n");
        for (name, text) in [(CHECKPOINT, &note), (VKEY, &vkey), (POLICIES, &policies.text), (SCHEMA, &policies.schema)]
        {
            fs::write(folder.join(name), text)?;
            files.insert(name.to_owned(), hex::encode(sha256(text.as_bytes())));
        }
        let manifest = Manifest {
            format: FORMAT.into(),
            origin: verifier.origin().to_string(),
            export: selection.export,
            auditor: selection.auditor,
            made_at: selection.made_at,
            from: selection.range.start,
            to: selection.range.end,
            fields: selection.fields.into_iter().map(|field| field.as_str().to_owned()).collect(),
            events: selection.kinds.map(|kinds| kinds.into_iter().collect()),
            disclosures,
            erased,
            policy_digest: hex::encode(policies.digest()),
            files,
        };
        let text = serde_json::to_string_pretty(&manifest).expect("invariant: a manifest is JSON") + "\n";
        fs::write(folder.join(MANIFEST), text)?;
        Ok(manifest)
    }
}

impl Selection {
    /// Those of an event's disclosures that the auditor is to see.
    fn of(&self, opened: &Opened, disclosures: &[String]) -> Vec<String> {
        let selected = self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&opened.event.kind));
        let may_see = |field: Field| selected && self.fields.contains(&field);
        disclosures.iter().filter(|text| disclosed_field(text).is_ok_and(may_see)).cloned().collect()
    }
}

/// A new file, and SHA-256 of what was written to it.
struct HashedFile {
    file: BufWriter<File>,
    hash: Context,
}

impl HashedFile {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(File::create_new(path)?), hash: Context::new(&SHA256) })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    /// The hash, hexadecimal.
    fn finish(mut self) -> io::Result<String> {
        self.file.flush()?;
        Ok(hex::encode(self.hash.finish()))
    }
}

impl fmt::Debug for HashedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HashedFile").field(self.file.get_ref()).finish()
    }
}
