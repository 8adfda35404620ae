//! The task that follows every log, raises what the rules find, and tells what no row may contradict.
//!
//! What a rule knows is rebuilt from the log after a start, and which findings were raised is read there too: nothing else
//! is kept but the index below which nothing is raised any more, so that other thresholds do not judge the past.

use super::{PAGE, opened};
use crate::broker::Broker;
use crate::commit::{Change, Proposal, Upkeep};
use crate::error::Error;
use crate::keys::KeyError;
use crate::ops::log as events;
use crate::pace::Reader;
use crate::store::cursors::{self, Cursor};
use crate::store::log;
use crate::store::{Store, StoreError};
use crate::testimony::Reading;
use audit::event::Kind;
use audit::finding::{Detector, Finding};
use metrics::{counter, gauge};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Whose cursor it is: a name that no sink can have.
const CURSOR: &str = "(findings)";
/// From one look to the next.
const IDLE: Duration = Duration::from_millis(500);
/// From one note of the cursors to the next.
const NOTE: Duration = Duration::from_secs(60);
/// A log that cannot be read or written gets another try after so long.
const HELD: Duration = Duration::from_secs(60);

/// Begins to follow all logs, until `stop`.
pub async fn start(broker: Arc<Broker>, stop: CancellationToken) -> Result<JoinHandle<()>, Error> {
    let background = broker.background.clone();
    let watch = background.spawn(Watch::open(broker)).await.map_err(|_| Error::Interrupted)??;
    Ok(background.spawn(watch.run(stop)))
}

struct Watch {
    broker: Arc<Broker>,
    store: Store,
    pace: Arc<Reader>,
    /// What was noted at the last stop.
    cursors: HashMap<String, u64>,
    logs: HashMap<String, Followed>,
    noted: Instant,
}

impl Watch {
    async fn open(broker: Arc<Broker>) -> Result<Self, Error> {
        let store = broker.store.with_own_readers().await?;
        let cursors = cursors::of_sink(&mut *store.reader().await?, CURSOR).await?;
        let cursors = cursors.into_iter().map(|cursor| (cursor.tenant, cursor.next)).collect();
        let pace = broker.pace.reader();
        Ok(Self { broker, store, pace, cursors, logs: HashMap::new(), noted: Instant::now() })
    }

    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let more = self.round().await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "findings wait for the database");
                false
            });
            if self.noted.elapsed() >= NOTE {
                self.note_cursors().await;
            }
            if !more {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(IDLE) => {}
                }
            }
        }
        self.note_cursors().await;
    }

    /// One step in each log that has grown, so that a long one keeps back no other. Tells whether there is more to do.
    async fn round(&mut self) -> Result<bool, Error> {
        // Every log, also one that has not grown since the last stop: what it tells is known to nobody yet.
        let sizes = log::sizes(&mut *self.store.reader().await?).await?;
        let (mut more, mut lag) = (false, 0);
        for (tenant, size) in sizes {
            let raises_from = self.cursors.get(&tenant).copied().unwrap_or_default();
            let first = || Followed::new(&self.broker, tenant.clone(), raises_from);
            let followed = self.logs.entry(tenant.clone()).or_insert_with(first);
            if followed.held.is_none_or(|until| Instant::now() >= until) {
                more |= followed.step(&self.broker, (&self.store, &self.pace), size).await;
            }
            lag += size.saturating_sub(followed.next);
        }
        gauge!("keyfold_findings_lag_events").set(lag as f64);
        Ok(more)
    }

    /// They may lag: what was raised is in the log.
    async fn note_cursors(&mut self) {
        self.noted = Instant::now();
        let moved = self.logs.values().filter(|followed| followed.settled() > followed.raises_from);
        let cursors: Vec<_> = moved.map(Followed::cursor).collect();
        if cursors.is_empty() {
            return;
        }
        let upkeep = Upkeep::SaveProgress { sink: CURSOR.into(), cursors, replays: Vec::new() };
        match self.broker.committer.upkeep(upkeep).await {
            Ok(()) => self.logs.values_mut().for_each(Followed::note),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "how far findings are could not be noted");
            }
        }
    }
}

/// One log.
struct Followed {
    tenant: String,
    detector: Detector,
    /// The first event that was not read.
    next: u64,
    /// The leaves before.
    reading: Reading,
    /// What was completed by an event below this is not raised any more.
    raises_from: u64,
    /// Found, and not seen raised in the log, in the order of their events.
    due: VecDeque<Finding>,
    held: Option<Instant>,
}

impl Followed {
    fn new(broker: &Broker, tenant: String, raises_from: u64) -> Self {
        let detector = Detector::new(&broker.findings);
        Self { tenant, detector, next: 0, reading: Reading::default(), raises_from, due: VecDeque::new(), held: None }
    }

    /// Reads on, and raises what is due only when all of the log was read: it may be there already.
    async fn step(&mut self, broker: &Broker, by: (&Store, &Reader), size: u64) -> bool {
        let done = if self.next < size { self.read(broker, by).await } else { self.raise(broker).await };
        self.held = done.as_ref().err().map(|_| Instant::now() + HELD);
        if let Err(error) = done {
            let tenant = &self.tenant;
            if matches!(error, Error::Store(StoreError::Corrupt { .. }) | Error::Keys(KeyError::Document(_))) {
                broker.testimony.doubt(tenant);
                tracing::error!(tenant, "the log was altered: it takes no event any more; `keyfold verify` says where");
            }
            tracing::error!(tenant, error = &error as &dyn std::error::Error, "findings of a log cannot be raised");
            return false;
        }
        self.next < size || !self.due.is_empty()
    }

    /// Reads a page, at most up to the newest head, which what was read must lead to.
    async fn read(&mut self, broker: &Broker, (store, pace): (&Store, &Reader)) -> Result<(), Error> {
        let altered = || StoreError::Corrupt { column: "leaf" };
        let head = log::head(&mut *store.reader().await?, &self.tenant).await?.ok_or_else(altered)?;
        let (from, step) = (self.next, pace.step(PAGE));
        let entries = events::events_in(&broker.keys, store, &self.tenant, from..from.saturating_add(step)).await?;
        if entries.is_empty() {
            return Err(altered().into());
        }
        for entry in entries.into_iter().take_while(|entry| entry.index < head.size) {
            if entry.index != self.next {
                return Err(altered().into());
            }
            let opened = opened(&entry)?;
            broker.testimony.hear(&self.tenant, entry.index, &opened.event);
            self.reading.add(&entry.leaf);
            if let Some(raised) = Finding::from_event(&opened.event) {
                self.due.retain(|due| (due.rule, due.trigger()) != (raised.rule, raised.trigger()));
            }
            let found = self.detector.observe(entry.index, &opened);
            self.due.extend(found.into_iter().filter(|finding| finding.trigger() >= self.raises_from));
            self.next = entry.index + 1;
        }
        pace.rest(self.next - from).await;
        let whole = self.next < head.size || self.reading.leads_to(&head, &*broker.keys.of_tenant(&self.tenant).await?);
        if whole { Ok(()) } else { Err(altered().into()) }
    }

    /// When this fails, nobody knows whether the event was written: it stays due until the log has been read again.
    async fn raise(&mut self, broker: &Broker) -> Result<(), Error> {
        while let Some(finding) = self.due.front() {
            let event = finding.to_event();
            let proposal = Proposal::new(&*self.tenant, Change::Remark, event, Kind::FindingRaised);
            broker.committer.commit(proposal).await?;
            counter!("keyfold_findings_total", "rule" => finding.rule.as_str()).increment(1);
            self.due.pop_front();
        }
        Ok(())
    }

    fn cursor(&self) -> Cursor {
        let (tenant, next) = (self.tenant.clone(), self.settled());
        Cursor { tenant, next, sent: 0, filtered: 0, confirmed_at: None, paused: false }
    }

    /// A log that is still being read again stays noted where it was.
    fn note(&mut self) {
        self.raises_from = self.raises_from.max(self.settled());
    }

    /// Below this index nothing is left to be raised.
    fn settled(&self) -> u64 {
        self.due.front().map_or(self.next, Finding::trigger)
    }
}
