//! Offline verification of an exported log: from files and the log's verifier key alone.

mod delivered;
mod erasures;
mod evidence;
mod files;
mod gaps;
mod history;
mod holdings;
mod message;
mod pairing;
mod proofs;
mod sorter;
mod walk;

pub use delivered::{Deliveries, DeliveryReport, Whole};
pub use erasures::Erasure;
pub use evidence::{EvidenceReport, verify_evidence};
pub use pairing::{OpenIntent, PairingError};

use crate::Origin;
use crate::cosignature::{Cosignature, Cosigner, cosignatures};
use crate::export::{CHECKPOINT, VKEY};
use crate::leaf::LeafError;
use crate::note::{self, Checkpoint, NoteError, Verifier};
use crate::receipt::ReceiptError;
use files::Files;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use walk::Walk;

/// What the verifier brings along.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// The log's verifier key, from a place that whoever made the export does not control. Without it the export is only
    /// checked against itself.
    pub vkey: Option<&'a str>,
    /// A checkpoint of this log seen earlier: the log must have grown from it.
    pub older: Option<&'a str>,
    /// The witnesses that must all have cosigned the checkpoint.
    pub cosigners: &'a [Cosigner],
}

/// A log in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The signed head that all events lead to.
    pub checkpoint: Checkpoint,
    /// Whether the verifier brought the key; `false` means that the export vouches for itself only.
    pub pinned: bool,
    /// What the witnesses that the verifier brought along have signed.
    pub cosignatures: Vec<Cosignature>,
    /// Number of keys released.
    pub released: u64,
    /// Number of disclosures shown.
    pub disclosures: u64,
    /// How many records each KEK has to open, by the KEK's id; zero where all have moved on. A record under two KEKs counts
    /// for both, one that was shredded still counts.
    pub records_under: BTreeMap<String, u64>,
    /// Restores still under way when the log was exported.
    pub open: Vec<OpenIntent>,
    /// Persons who were erased, by the references of their erasures.
    pub erasures: Vec<Erasure>,
}

/// The first thing that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}{what}", index.map(|index| format!("event {index}: ")).unwrap_or_default())]
pub struct Failure {
    /// The first bad event, where one can be named.
    pub index: Option<u64>,
    /// What is wrong with it.
    pub what: Fault,
}

/// What can be wrong with an export.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What a receiver exported cannot be read.
    #[error("the export cannot be read: {0}")]
    Source(io::Error),
    /// The folder for what does not fit in memory cannot be used.
    #[error("the folder for temporary files cannot be used: {0}")]
    Scratch(io::Error),
    /// There is no checkpoint.
    #[error("no checkpoint of this log: without one, nothing is proven")]
    NoCheckpoint,
    /// The manifest is malformed, or what it says is not so.
    #[error("`manifest.json` does not describe this evidence")]
    Manifest,
    /// A file is not the one that the manifest names.
    #[error("`{name}` is not the file that the manifest names")]
    OtherFile {
        /// The file.
        name: String,
    },
    /// Something is disclosed that the manifest does not name.
    #[error("discloses what the manifest does not name")]
    Unselected,
    /// The verifier key or the checkpoint is not accepted.
    #[error("the checkpoint is not accepted: {0}")]
    Checkpoint(NoteError),
    /// A witness that the verifier asks for has not cosigned the checkpoint.
    #[error("the checkpoint is not cosigned by `{0}`")]
    NotCosigned(Origin),
    /// The older checkpoint is not accepted, or of another log.
    #[error("the older checkpoint is not accepted: {0}")]
    OlderCheckpoint(NoteError),
    /// The event is missing although the checkpoint counts it.
    #[error("missing, although the checkpoint counts it")]
    Missing,
    /// More events are missing up to `end` than were withheld from the sink; this one, or a later one.
    #[error("this event or a later one is missing: up to {end}, more than the {withheld} that were withheld")]
    TooFew {
        /// The size at which the next checkpoint message counts what is withheld.
        end: u64,
        /// How many that message says were withheld since the one before.
        withheld: u64,
    },
    /// Neither a checkpoint nor a proof vouches for the event.
    #[error("nothing proves it: events before the next checkpoint are missing, and it brings no proof of its own")]
    Unproven,
    /// The event's own proof does not prove it.
    #[error("{0}")]
    Proof(ReceiptError),
    /// The events from this one up to `end` are genuine but not those, or not in the order, that the checkpoint signed.
    #[error("an event between this and {end} is not in its place: the checkpoint at {end} has another root")]
    Exchanged {
        /// The checkpoint's size.
        end: u64,
    },
    /// Two events of one index, or two checkpoints of one size: the log was forked, or its database rolled back.
    #[error("contradicts another that is signed alike: the log was forked, or its database put back to an older state")]
    Contradiction,
    /// There is an event that the checkpoint does not count.
    #[error("not counted by the checkpoint")]
    Surplus,
    /// The entries lead to another hash than the tile holds.
    #[error("the tile of level {level} holds another hash than the entries give")]
    Tile {
        /// The tile's level.
        level: u8,
    },
    /// The leaf or a disclosure is not what the broker signed.
    #[error("{0}")]
    Leaf(LeafError),
    /// The leaf belongs to another log.
    #[error("belongs to another log")]
    OtherLog,
    /// The same event occurs earlier.
    #[error("occurs twice")]
    Repeated,
    /// The log does not begin with one `log.opened`, or a key is announced where none may be or where one is due.
    #[error("an event key is announced in the wrong place, or not where one is due")]
    Announcement,
    /// The line in `events.ndjson` says something else than the leaf.
    #[error("the line in `events.ndjson` says something else than the leaf")]
    Line,
    /// The event is marked as erased, but something is disclosed of it.
    #[error("marked as erased, and yet something is disclosed of it")]
    Erasure,
    /// Intent and outcome of a restore do not fit.
    #[error("{0}")]
    Pairing(PairingError),
    /// The log had more events once.
    #[error("the log is shorter than the older checkpoint says")]
    Shrunk,
    /// The log was another one when the older checkpoint was signed.
    #[error("the log does not continue the older checkpoint: its history was rewritten")]
    Forked,
    /// The entries lead to another root than the checkpoint's.
    #[error("the entries lead to another root than the checkpoint's")]
    Root,
    /// `event-keys.json` is not what the log announces.
    #[error("`event-keys.json` is not what the log announces")]
    EventKeys,
}

impl Fault {
    fn at(self, index: u64) -> Failure {
        Failure { index: Some(index), what: self }
    }
}

impl From<Fault> for Failure {
    fn from(what: Fault) -> Self {
        Self { index: None, what }
    }
}

/// Verifies the export in `dir`: checkpoint, root, tiles, every signature and disclosure, every line, and that each key
/// released was intended. The events are read once, in order.
///
/// # Errors
/// [`Failure`] names the first bad event.
pub fn verify_dir(dir: &Path, options: &Options<'_>) -> Result<Report, Failure> {
    let files = Files::new(dir);
    let vkey = options.vkey.map_or_else(|| files.text(VKEY), |vkey| Ok(vkey.to_owned()))?;
    let verifiers = [Verifier::parse(&vkey).map_err(Fault::Checkpoint)?];
    let signed = files.text(CHECKPOINT)?;
    let checkpoint = note::open(&signed, &verifiers).map_err(Fault::Checkpoint)?;
    let cosignatures = cosigned(&signed, options.cosigners)?;
    let older = options.older.map(|older| note::open(older, &verifiers)).transpose().map_err(Fault::OlderCheckpoint)?;
    if older.as_ref().is_some_and(|older| older.size > checkpoint.size) {
        return Err(Fault::Shrunk.at(checkpoint.size));
    }
    let mut walk = Walk::new(&files, checkpoint, older)?;
    walk.entries()?;
    Ok(Report { pinned: options.vkey.is_some(), cosignatures, ..walk.conclude()? })
}

/// The cosignatures of all these witnesses; one that is missing is a fault.
fn cosigned(checkpoint: &str, cosigners: &[Cosigner]) -> Result<Vec<Cosignature>, Fault> {
    let found = cosignatures(checkpoint, cosigners).map_err(Fault::Checkpoint)?;
    let missing = cosigners.iter().find(|cosigner| !found.iter().any(|signed| signed.cosigner == **cosigner));
    missing.map_or(Ok(found), |cosigner| Err(Fault::NotCosigned(cosigner.name().clone())))
}
