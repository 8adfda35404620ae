//! Delivers to one sink: a batch under way, the next one being read.

use super::Terms;
use super::batch::{Batch, Reader, storage_unavailable};
use super::report;
use super::watch::Watch;
use crate::broker::Broker;
use crate::feeds::{Done, Moment, Setback, SinkFeeds, Test, Track, Turn};
use crate::store::dead_letters;
use crate::store::log::Head;
use audit::event::{Kind, Outcome};
use audit::note::Checkpoint;
use metrics::counter;
use sinks::{Message, Refused, Sink, Tally, Trouble};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// So many refusals without anything taken in between, and the receiver is wrong, not the events.
const REFUSED_IN_A_ROW: u64 = 100;
/// How long an idle sink sleeps if nobody wakes it: at least, and at most.
const IDLE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(60));

/// A batch that is being read.
type Reading = JoinHandle<Result<Batch, (Turn, Setback)>>;

/// Why messages were not delivered.
enum Failure {
    /// Nothing is wrong with the messages.
    Setback(Setback),
    /// The receiver will never take one of them at least.
    Refused(Outcome),
}

/// One sink at work.
pub(super) struct Pump {
    pub(super) broker: Arc<Broker>,
    pub(super) feeds: Arc<SinkFeeds>,
    pub(super) terms: Arc<Terms>,
    pub(super) sink: Box<dyn Sink>,
    pub(super) reader: Reader,
    pub(super) tests: mpsc::Receiver<Test>,
    pub(super) ahead: Option<Reading>,
}

impl Pump {
    /// Delivers until `stop`, and then what is there already, as far as nothing is in the way.
    pub(super) async fn run(mut self, watch: &Watch, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.answer_tests().await;
            if !self.take_turn().await {
                self.idle(&stop).await;
            }
        }
        watch.look().await;
        self.feeds.hurry();
        while self.take_turn().await {}
    }

    async fn idle(&mut self, stop: &CancellationToken) {
        let (soonest, latest) = (Instant::now() + IDLE.0, Instant::now() + IDLE.1);
        let due = self.feeds.due().unwrap_or(latest).max(soonest);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.feeds.changed.notified() => {}
            () = sleep_until(due.into()) => {}
            Some(test) = self.tests.recv() => self.answer(test).await,
        }
    }

    /// Delivers one batch. `false` when there is none now.
    async fn take_turn(&mut self) -> bool {
        let read = match self.read_ahead().await {
            Some(read) => read,
            None => match self.feeds.turn(Instant::now()) {
                Some(turn) => self.reader.read(turn).await,
                None => return false,
            },
        };
        match read {
            Ok(batch) => {
                let next = self.feeds.turn_after(&batch.turn, batch.until, Instant::now());
                let reader = self.reader.clone();
                self.ahead = next.map(|turn| tokio::spawn(async move { reader.read(turn).await }));
                self.deliver(batch).await;
            }
            Err((turn, setback)) => {
                let until = turn.range.start;
                self.set_back(&turn, until, setback).await;
            }
        }
        true
    }

    /// What was read while the last batch was delivered, if it is still what comes next.
    async fn read_ahead(&mut self) -> Option<Result<Batch, (Turn, Setback)>> {
        let read = self.ahead.take()?.await.ok()?;
        let turn = match &read {
            Ok(batch) => &batch.turn,
            Err((turn, _)) => turn,
        };
        self.feeds.begin(turn).then_some(read)
    }

    async fn deliver(&mut self, batch: Batch) {
        let sent = if batch.messages.is_empty() { Ok(Vec::new()) } else { self.send(&batch.messages).await };
        match sent {
            Ok(refused) => self.conclude(&batch, &refused).await,
            Err(Failure::Refused(reason)) if batch.messages.len() == 1 => {
                self.conclude(&batch, &[Refused { position: 0, reason }]).await;
            }
            Err(Failure::Refused(_)) => self.feeds.suspect(&batch.turn, batch.until),
            Err(Failure::Setback(setback)) => self.set_back(&batch.turn, batch.until, setback).await,
        }
    }

    async fn send(&mut self, messages: &[Message]) -> Result<Vec<Refused>, Failure> {
        let retry = |reason, after| Failure::Setback(Setback::Retry { reason: Outcome::from_static(reason), after });
        match timeout(self.terms.deadline, self.sink.deliver(messages)).await {
            Err(_) => Err(retry("deadline_exceeded", None)),
            Ok(Ok(refused)) => Ok(refused),
            Ok(Err(Trouble::Retry { after })) => Err(retry("unavailable", after)),
            Ok(Err(Trouble::Paused(reason))) => Err(Failure::Setback(Setback::Pause(reason.outcome()))),
            Ok(Err(Trouble::Refused(reason))) => Err(Failure::Refused(reason)),
        }
    }

    /// The receiver has taken the batch, all but what it refused: that is kept apart before the cursor goes past it.
    async fn conclude(&mut self, batch: &Batch, refused: &[Refused]) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let done = Done {
            sent: count(batch.messages.len().saturating_sub(refused.len())),
            filtered: batch.filtered,
            refused: count(refused.len()),
        };
        let in_a_row = done.refused.saturating_add(self.feeds.refused_in_a_row(&batch.turn).into());
        if done.refused > 0 && done.sent == 0 && in_a_row > REFUSED_IN_A_ROW {
            let setback = Setback::Pause(Outcome::from_static("refuses_everything"));
            return self.set_back(&batch.turn, batch.until, setback).await;
        }
        if self.keep_apart(batch, refused).await.is_none() {
            return self.set_back(&batch.turn, batch.until, storage_unavailable()).await;
        }
        let name = &self.feeds.clone().name;
        counter!("keyfold_sink_delivered_total", "sink" => name.clone()).increment(done.sent);
        counter!("keyfold_sink_filtered_total", "sink" => name.clone()).increment(done.filtered);
        let ended = self.feeds.done(&batch.turn, batch.until, done, self.now());
        if ended.is_some_and(|trouble| trouble.announced) {
            tracing::info!(sink = name, tenant = batch.turn.tenant, "a sink delivers again");
            let feed = (batch.turn.tenant.as_str(), name.as_str());
            report::append(&self.broker, feed, (Kind::SinkResumed, Outcome::OK), None).await;
        }
        self.tell_checkpoint(batch).await;
    }

    /// Keeps what was refused as dead letters, and removes those that were taken. `None` when the database fails.
    async fn keep_apart(&mut self, batch: &Batch, refused: &[Refused]) -> Option<()> {
        let Turn { tenant, range, .. } = &batch.turn;
        if refused.is_empty() && !self.feeds.may_be_dead(&batch.turn) {
            return Some(());
        }
        let feeds = self.feeds.clone();
        let feed = (tenant.as_str(), feeds.name.as_str());
        let mut kept = Vec::new();
        for Refused { position, reason } in refused {
            let message = batch.messages.get(*position)?;
            kept.push(report::keep_dead_letter(&self.broker, feed, (message, reason)).await?);
        }
        let mut db = self.reader.store.reader().await.ok()?;
        let letters = dead_letters::within(&mut db, feed, range.start..batch.until, i64::MAX).await.ok()?;
        for letter in letters.iter().filter(|letter| !kept.contains(&letter.index)) {
            report::remove_dead_letter(&self.broker, letter).await?;
        }
        self.feeds.count_dead(&batch.turn, dead_letters::extent(&mut db, feed).await.ok()?);
        Some(())
    }
}

impl Pump {
    async fn set_back(&mut self, turn: &Turn, until: u64, setback: Setback) {
        let feeds = self.feeds.clone();
        let (sink, tenant) = (feeds.name.as_str(), turn.tenant.as_str());
        counter!("keyfold_sink_failures_total", "sink" => sink.to_owned()).increment(1);
        let (Setback::Pause(reason) | Setback::Retry { reason, .. }) = setback.clone();
        tracing::warn!(sink, tenant, reason = reason.as_str(), from = turn.range.start, "a delivery failed");
        if self.feeds.set_back(turn, until, setback, (self.now(), dice())) {
            tracing::error!(sink, tenant, reason = reason.as_str(), "a sink needs an operator");
            report::append(&self.broker, (tenant, sink), (Kind::SinkPaused, reason), None).await;
        }
    }

    /// Tells the receiver how many events it must have, where it has all up to the log's head, and it is time.
    async fn tell_checkpoint(&mut self, batch: &Batch) {
        let Some(head) = batch.head.as_ref().filter(|_| batch.turn.track == Track::Live) else { return };
        let Some(tally) = self.feeds.owed_tally(&head.tenant, Instant::now()) else { return };
        let Some(message) = self.checkpoint(head, tally) else { return };
        let told = self.send_alone(message).await;
        if let Err(reason) = &told {
            let (sink, tenant, reason) = (&self.feeds.name, &head.tenant, reason.as_str());
            tracing::warn!(sink, tenant, reason, "a checkpoint was not taken");
        }
        self.feeds.tallied(&head.tenant, Instant::now(), told.is_ok());
    }

    fn checkpoint(&self, head: &Head, (sent, filtered, dead): (u64, u64, u64)) -> Option<Message> {
        let origin = self.broker.keys.origin(&head.tenant).ok()?;
        let at_ms = self.broker.clock.now().unsigned_abs();
        let signed = Checkpoint { origin, size: head.size, root: head.root };
        let tally = Tally { head: &signed, note: &head.checkpoint, at_ms, sent, filtered, dead };
        Some(self.terms.format.checkpoint(&tally))
    }

    async fn answer_tests(&mut self) {
        while let Ok(test) = self.tests.try_recv() {
            self.answer(test).await;
        }
    }

    /// An operator's test; a failure changes nothing else.
    async fn answer(&mut self, test: Test) {
        let Ok(origin) = self.broker.keys.origin(&test.tenant) else { return };
        let message = self.terms.format.test(&origin, self.broker.clock.now().unsigned_abs());
        let _gone = test.reply.send(self.send_alone(message).await);
    }

    /// Sends a message that is no event. What it fails with is a reason code.
    async fn send_alone(&mut self, message: Message) -> Result<(), Outcome> {
        match self.send(&[message]).await {
            Ok(refused) => refused.into_iter().next().map_or(Ok(()), |refused| Err(refused.reason)),
            Err(Failure::Refused(reason)) => Err(reason),
            Err(Failure::Setback(Setback::Pause(reason) | Setback::Retry { reason, .. })) => Err(reason),
        }
    }

    fn now(&self) -> Moment {
        Moment { instant: Instant::now(), at: self.broker.clock.now() }
    }
}

fn dice() -> u16 {
    let mut bytes = [0; 2];
    aws_lc_rs::rand::fill(&mut bytes).expect("invariant: the system random number generator works");
    u16::from_le_bytes(bytes)
}
