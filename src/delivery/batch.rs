//! The log, read ahead and written down for a sink.

use super::Terms;
use crate::broker::Broker;
use crate::error::Error;
use crate::feeds::{Setback, Turn};
use crate::keys::KeyError;
use crate::ops::log::{self as events, Entry};
use crate::pace;
use crate::store::log::{self, Head, Leaf};
use crate::store::{Connection, Store, StoreError};
use audit::event::Outcome;
use audit::leaf::Opened;
use audit::receipt::Receipt;
use audit::tree::{Prover, tiles_for_run};
use sinks::{Limits, Message, Source};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Events that are read at once.
const PAGE: u64 = 500;
/// Most events that one batch looks at, however few of them are for the sink.
const LOOKED_AT: u64 = 10_000;

/// Events ready to be sent.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) turn: Turn,
    /// The first index beyond.
    pub(super) until: u64,
    /// In the order of the log, without those that are not for the sink.
    pub(super) messages: Vec<Message>,
    /// The lengths of all bodies together.
    bytes: usize,
    /// How many are not.
    pub(super) filtered: u64,
    /// The log's head, where the batch reaches it.
    pub(super) head: Option<Head>,
}

/// Reads for one sink, by readers of its own.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) broker: Arc<Broker>,
    pub(super) store: Store,
    pub(super) terms: Arc<Terms>,
    pub(super) limits: Limits,
    pub(super) pace: Arc<pace::Reader>,
}

/// Whether a batch takes more.
#[derive(PartialEq)]
enum Room {
    Left,
    Full,
}

impl Reader {
    /// As much of the turn as the sink takes at once. An event that cannot be read ends the batch before it; at the
    /// start it is a setback.
    pub(super) async fn read(&self, turn: Turn) -> Result<Batch, (Turn, Setback)> {
        let mut batch =
            Batch { until: turn.range.start, turn, messages: Vec::new(), bytes: 0, filtered: 0, head: None };
        match self.fill(&mut batch).await {
            Err(error) if batch.until == batch.turn.range.start => Err((batch.turn, setback(&error))),
            Ok(()) | Err(_) => Ok(batch),
        }
    }

    async fn fill(&self, batch: &mut Batch) -> Result<(), Error> {
        let head = log::head(&mut *self.store.reader().await?, &batch.turn.tenant).await?.ok_or(Error::NotFound)?;
        let Range { start, end } = batch.turn.range;
        // A turn without events is for the checkpoint: what the log has by now goes first.
        let end = if start == end { head.size } else { end };
        let end = end.min(head.size).min(start.saturating_add(LOOKED_AT));
        let mut room = Room::Left;
        while room == Room::Left && batch.until < end {
            let from = batch.until;
            room = self.take_page(batch, (&head, end)).await?;
            self.pace.rest(batch.until - from).await;
        }
        batch.head = Some(head).filter(|head| head.size == batch.until);
        Ok(())
    }

    async fn take_page(&self, batch: &mut Batch, (head, end): (&Head, u64)) -> Result<Room, Error> {
        let page = batch.until..end.min(batch.until + self.pace.step(PAGE));
        let mut db = self.store.reader().await?;
        let leaves = log::leaves(&mut db, &batch.turn.tenant, page.start, page.end).await?;
        let prover = self.prover(&mut db, head, page).await?;
        // Opening an event may read a key: whoever held on to one reader while waiting for another would block all pumps.
        drop(db);
        for leaf in leaves {
            if leaf.index != batch.until {
                break;
            }
            if self.take(batch, leaf, prover.as_ref().map(|prover| (prover, head))).await? == Room::Full {
                return Ok(Room::Full);
            }
        }
        // The log is shorter than its head says, or an index is missing.
        if batch.until == batch.turn.range.start { Err(corrupt()) } else { Ok(Room::Left) }
    }

    /// Adds the event, if there is room and it is for the sink.
    async fn take(&self, batch: &mut Batch, leaf: Leaf, proof: Option<(&Prover, &Head)>) -> Result<Room, Error> {
        let entry = events::open(&self.broker.keys, &self.store, leaf).await?;
        let receipt = proof.map(|(prover, head)| receipt(prover, head, entry.index)).transpose()?;
        let Some(message) = self.terms.message(&entry, receipt.as_ref())? else {
            batch.filtered += 1;
            batch.until += 1;
            return Ok(Room::Left);
        };
        let bytes = batch.bytes + message.body.len();
        let full = batch.messages.len() >= self.limits.messages || bytes > self.limits.bytes;
        if full && !batch.messages.is_empty() {
            return Ok(Room::Full);
        }
        batch.bytes = bytes;
        batch.messages.push(message);
        batch.until += 1;
        Ok(Room::Left)
    }

    /// What proves these events, if the sink wants proofs.
    async fn prover(&self, db: &mut Connection, head: &Head, run: Range<u64>) -> Result<Option<Prover>, Error> {
        if !self.terms.proof {
            return Ok(None);
        }
        let mut tiles = HashMap::new();
        for id in tiles_for_run(run.clone(), head.size) {
            tiles.insert((id.level, id.index), events::tile(db, &head.tenant, id).await?);
        }
        Ok(Some(Prover::new(run, head.size, &tiles).map_err(|_| corrupt())?))
    }
}

fn receipt(prover: &Prover, head: &Head, index: u64) -> Result<Receipt, Error> {
    let proof = prover.inclusion_proof(index).map_err(|_| corrupt())?;
    Ok(Receipt { index, proof, checkpoint: head.checkpoint.clone() })
}

fn corrupt() -> Error {
    StoreError::Corrupt { column: "leaf_index" }.into()
}

impl Terms {
    /// The event as the sink may see it; `None` where it is not for the sink.
    fn message(&self, entry: &Entry, receipt: Option<&Receipt>) -> Result<Option<Message>, Error> {
        let Entry { index, leaf, disclosures, erased } = entry;
        let may_see = |disclosure: &&String| {
            audit::leaf::disclosed_field(disclosure).is_ok_and(|field| self.disclosed.contains(&field))
        };
        let disclosures: Vec<String> = disclosures.iter().filter(may_see).cloned().collect();
        let opened = audit::leaf::read(leaf, &disclosures).map_err(|_| StoreError::Corrupt { column: "leaf" })?;
        let opened = Opened { erased: *erased, ..opened };
        let source = Source { index: *index, opened: &opened, leaf, disclosures: &disclosures, receipt };
        Ok(self.receives(opened.event.kind).then(|| self.format.event(&source)))
    }
}

/// What is stored does not open: only somebody who looks can help. Anything else is the database's trouble.
fn setback(error: &Error) -> Setback {
    if matches!(error, Error::Store(StoreError::Corrupt { .. }) | Error::Keys(KeyError::Sealed(_))) {
        return Setback::Pause(Outcome::from_static("events_unreadable"));
    }
    storage_unavailable()
}

/// The database fails: tried again.
pub(super) fn storage_unavailable() -> Setback {
    Setback::Retry { reason: Outcome::from_static("storage_unavailable"), after: None }
}
