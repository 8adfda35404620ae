//! A log as a directory of files, complete enough to be verified offline.

use crate::leaf::{self, EventPublicKey, LeafError, Opened};
use crate::line::line;
use crate::note::{self, Checkpoint, NoteError, Verifier};
use crate::tile::{self, WIDTH};
use crate::tree::{Edge, Tile, leaf_hash};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The prefix of the C2SP tlog-tiles resources.
pub(crate) const LOG: &str = "log";
pub(crate) const CHECKPOINT: &str = "log/checkpoint";
pub(crate) const VKEY: &str = "log/vkey";
pub(crate) const EVENT_KEYS: &str = "log/event-keys.json";
pub(crate) const EVENTS: &str = "events.ndjson";

/// Writes one log, event by event. The checkpoint is written last: a directory without one is no export.
#[derive(Debug)]
pub struct Exporter {
    dir: PathBuf,
    verifier: Verifier,
    edge: Edge,
    bundle: Vec<u8>,
    lines: BufWriter<File>,
    keys: Vec<EventPublicKey>,
}

/// Why an export is not complete; what was written of it proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file cannot be written, or the directory holds an export already.
    #[error("cannot write the export")]
    Io(#[from] io::Error),
    /// The events were not given in the order of their indices, from 0.
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
    /// The checkpoint is not accepted.
    #[error("the checkpoint is not accepted")]
    Checkpoint(#[from] NoteError),
    /// The checkpoint is of another tree than the events given.
    #[error("the checkpoint is of another tree than these events")]
    OtherTree,
}

impl Exporter {
    /// Starts an export of the log of `verifier` into `dir`, which is created if need be.
    ///
    /// # Errors
    /// [`ExportError::Io`], also when there is an export already.
    pub fn create(dir: &Path, verifier: Verifier) -> Result<Self, ExportError> {
        fs::create_dir_all(dir.join(LOG))?;
        let lines = BufWriter::new(File::create_new(dir.join(EVENTS))?);
        Ok(Self { dir: dir.to_owned(), verifier, edge: Edge::new(), bundle: Vec::new(), lines, keys: Vec::new() })
    }

    /// Adds the event at `index` with the disclosures that the reader may see, or with the erasure that left none.
    ///
    /// # Errors
    /// [`ExportError`]; the export cannot go on after one.
    pub fn append(
        &mut self,
        index: u64,
        leaf: &str,
        disclosures: &[String],
        erased: Option<Uuid>,
    ) -> Result<(), ExportError> {
        if index != self.edge.size() {
            return Err(ExportError::OutOfOrder { expected: self.edge.size() });
        }
        let opened = leaf::read(leaf, disclosures).map_err(|source| ExportError::Leaf { index, source })?;
        let opened = Opened { erased, ..opened };
        self.lines.write_all(&line(index, &opened, leaf, disclosures, None))?;
        self.lines.write_all(b"\n")?;
        self.keys.extend(opened.event.event_key);
        tile::push_entry(&mut self.bundle, leaf.as_bytes()).expect("invariant: a readable leaf is at most 16 KiB");
        self.edge.append(leaf_hash(leaf.as_bytes()));
        for tile in self.edge.take_full_tiles() {
            self.write_tile(&tile)?;
        }
        if self.edge.size().is_multiple_of(WIDTH) { self.write_bundle(256) } else { Ok(()) }
    }

    /// Completes the export with the checkpoint over exactly the events given.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn finish(mut self, checkpoint: &str) -> Result<Checkpoint, ExportError> {
        let opened = note::open(checkpoint, std::slice::from_ref(&self.verifier))?;
        if (opened.size, opened.root) != (self.edge.size(), self.edge.root()) {
            return Err(ExportError::OtherTree);
        }
        for tile in self.edge.partial_tiles() {
            self.write_tile(&tile)?;
        }
        if let Ok(width @ 1..) = u16::try_from(self.edge.size() % WIDTH) {
            self.write_bundle(width)?;
        }
        self.lines.flush()?;
        self.write(VKEY, format!("{}\n", self.verifier).as_bytes())?;
        self.write(EVENT_KEYS, event_keys(&self.keys).as_bytes())?;
        self.write(CHECKPOINT, checkpoint.as_bytes())?;
        Ok(opened)
    }

    fn write_tile(&self, tile: &Tile) -> io::Result<()> {
        self.write(&resource(tile::Path::Tile(tile.id())), tile.bytes())
    }

    /// Writes the bundle of which the last event given is the last, and empties it.
    fn write_bundle(&mut self, width: u16) -> Result<(), ExportError> {
        let index = (self.edge.size() - 1) / WIDTH;
        self.write(&resource(tile::Path::Entries { index, width }), &self.bundle)?;
        self.bundle.clear();
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.dir.join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, bytes)
    }
}

/// The name of a tile or bundle below the export's directory.
pub(crate) fn resource(path: tile::Path) -> String {
    format!("{LOG}/{path}")
}

/// The announced keys as a JWK set (RFC 7517, section 5), in the order of their announcement.
pub(crate) fn event_keys(keys: &[EventPublicKey]) -> String {
    let keys = keys.iter().map(|key| Jwk {
        kty: "OKP",
        crv: "Ed25519",
        x: key.x(),
        kid: key.kid(),
        alg: "EdDSA",
        usage: "sig",
    });
    let set = JwkSet { keys: keys.collect() };
    serde_json::to_string_pretty(&set).expect("invariant: a JWK set is JSON") + "\n"
}

#[derive(Serialize)]
struct JwkSet<'a> {
    keys: Vec<Jwk<'a>>,
}

#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    crv: &'static str,
    x: &'a str,
    kid: &'a str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}
