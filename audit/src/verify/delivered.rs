//! What a sink delivered, as its receiver exports it: complete and untampered up to the newest checkpoint, or not.

mod pass;

use super::message::{self, Found, Head};
use super::sorter::Sorter;
use super::{Erasure, Failure, Fault, OpenIntent};
use crate::Hash;
use crate::note::{self, Checkpoint, Verifier};
use pass::Pass;
use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::PathBuf;

/// No line is longer: a receiver may put a batch of events into one.
const MAX_LINE: u64 = 32 * 1024 * 1024;

/// Gathers the messages of one log, in any order and as often as they come, and then verifies them. However many there
/// are, 64 MiB of them are held in memory, and some 50 bytes for each event.
pub struct Deliveries {
    verifier: Verifier,
    events: Sorter,
    heads: Heads,
    /// Size of the newest checkpoint up to which everything must have been delivered.
    newest: Option<u64>,
    other_lines: u64,
}

/// The checkpoints known of the log, by size.
#[derive(Default)]
struct Heads {
    roots: BTreeMap<u64, Hash>,
    /// How many of the events below a size were withheld from the sink, where a message says so.
    withheld: BTreeMap<u64, u64>,
}

/// What a sink delivered, in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The newest checkpoint.
    pub checkpoint: Checkpoint,
    /// Events below the checkpoint's size, each counted once.
    pub events: u64,
    /// Events from the checkpoint's size on: nothing proves them yet.
    pub beyond: u64,
    /// Messages of an event that was there already.
    pub repeated: u64,
    /// Lines without a message of this log.
    pub other_lines: u64,
    /// Disclosures shown, in repeated messages too.
    pub disclosures: u64,
    /// Persons who were erased, as far as the events tell.
    pub erasures: Vec<Erasure>,
    /// What only a log without gaps tells: `None` when events were withheld from the sink.
    pub whole: Option<Whole>,
}

impl DeliveryReport {
    /// Events that the sink was not sent by its filter, or that its receiver refused for good. The broker says so, and
    /// nothing signs it.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.checkpoint.size - self.events
    }
}

/// What only a log without gaps tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Number of keys released, each after its intent.
    pub released: u64,
    /// How many records each KEK has to open.
    pub records_under: BTreeMap<String, u64>,
    /// Restores still under way at the newest checkpoint.
    pub open: Vec<OpenIntent>,
}

impl Deliveries {
    /// For the log of this pinned key. What does not fit in memory goes to `folder`, which the caller removes.
    #[must_use]
    pub fn of(verifier: Verifier, folder: PathBuf) -> Self {
        Self { verifier, events: Sorter::in_folder(folder), heads: Heads::default(), newest: None, other_lines: 0 }
    }

    /// Takes what one file of a receiver holds: NDJSON, one message or batch a line, whatever is around it.
    ///
    /// # Errors
    /// [`Fault::Checkpoint`] for a checkpoint that is not the log's, [`Fault::Contradiction`] for two that exclude each other.
    pub fn read(&mut self, mut source: impl BufRead) -> Result<(), Failure> {
        loop {
            let mut line = Vec::new();
            if source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(Fault::Source)? == 0 {
                return Ok(());
            }
            self.line(&line)?;
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let mut messages = Vec::new();
        message::find(line, self.verifier.origin(), &mut |found| messages.push(found));
        self.other_lines += u64::from(messages.is_empty() && !line.trim_ascii().is_empty());
        messages.into_iter().try_for_each(|message| match message {
            Found::Event(index, message) => Ok(self.events.push(index, message).map_err(Fault::Scratch)?),
            Found::Checkpoint(head) => self.head(&head),
        })
    }

    fn head(&mut self, head: &Head) -> Result<(), Failure> {
        let size = self.opened(&head.checkpoint)?.size;
        let Some(sent_without) = head.withheld() else { return Ok(()) };
        self.newest = self.newest.max(Some(size));
        // Of several sinks' messages the one that was withheld least counts: together they were sent no less.
        let withheld = self.heads.withheld.entry(size).or_insert(u64::MAX);
        *withheld = sent_without.min(*withheld);
        Ok(())
    }

    /// Takes a checkpoint from elsewhere. The newest decides up to where events must be complete.
    ///
    /// # Errors
    /// [`Fault::Checkpoint`]; [`Fault::Contradiction`].
    pub fn checkpoint(&mut self, note: &str) -> Result<(), Failure> {
        self.newest = self.newest.max(Some(self.opened(note)?.size));
        Ok(())
    }

    fn opened(&mut self, note: &str) -> Result<Checkpoint, Failure> {
        let opened = note::open(note, std::slice::from_ref(&self.verifier)).map_err(Fault::Checkpoint)?;
        self.heads.learn(&opened)?;
        Ok(opened)
    }

    /// Verifies all that was taken. With `complete`, not even what the broker says it withheld may be missing.
    ///
    /// # Errors
    /// [`Failure`] names the first bad or missing event.
    pub fn verify(self, complete: bool) -> Result<DeliveryReport, Failure> {
        let newest = self.newest.and_then(|size| Some((size, *self.heads.roots.get(&size)?)));
        let (size, root) = newest.ok_or(Fault::NoCheckpoint)?;
        let checkpoint = Checkpoint { origin: self.verifier.origin().clone(), size, root };
        let events = self.events.sorted().map_err(Fault::Scratch)?;
        let report = Pass::new(&self.verifier, self.heads, &checkpoint, complete).over(events)?;
        Ok(DeliveryReport { other_lines: self.other_lines, ..report })
    }
}

impl Heads {
    fn learn(&mut self, checkpoint: &Checkpoint) -> Result<(), Fault> {
        let known = self.roots.entry(checkpoint.size).or_insert(checkpoint.root);
        if *known == checkpoint.root { Ok(()) } else { Err(Fault::Contradiction) }
    }
}
