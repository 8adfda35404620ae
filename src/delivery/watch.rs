//! Beside the delivery: what is new in the log, what is confirmed is saved, what takes too long is an alarm.

use super::report;
use crate::broker::Broker;
use crate::commit::Upkeep;
use crate::error::Error;
use crate::feeds::SinkFeeds;
use crate::store::cursors;
use crate::store::{Store, StoreError, dead_letters, replays};
use audit::event::{Kind, Outcome};
use metrics::gauge;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// From one look at the log to the next.
const LOOK: Duration = Duration::from_millis(200);
/// The longest rest between two looks, however long one takes: a database that hung for a minute makes no sink blind for four.
const REST: Duration = Duration::from_secs(10);
/// From one saving of cursors to the next: so much is delivered twice after a crash, at most.
const SAVE: Duration = Duration::from_secs(1);

/// What goes on beside the delivery of one sink.
pub(super) struct Watch {
    pub(super) broker: Arc<Broker>,
    pub(super) feeds: Arc<SinkFeeds>,
    pub(super) store: Store,
    pub(super) alarm_lag: Duration,
}

impl Watch {
    /// Where the last run ended.
    pub(super) async fn restore(&self) -> Result<(), StoreError> {
        let (mut db, sink) = (self.store.reader().await?, self.feeds.name.as_str());
        let cursors = cursors::of_sink(&mut db, sink).await?;
        let dead = dead_letters::extents(&mut db, sink).await?;
        self.feeds.restore(cursors, dead, replays::of_sink(&mut db, sink).await?);
        Ok(())
    }

    /// Goes on for ever.
    pub(super) async fn run(&self) {
        let mut saved = Instant::now();
        loop {
            let begun = Instant::now();
            self.look().await;
            if saved.elapsed() >= SAVE {
                saved = Instant::now();
                self.save().await;
                self.alarm().await;
            }
            // With very many logs it must not do nothing else.
            sleep((begun.elapsed() * 4).clamp(LOOK, REST)).await;
        }
    }

    /// Sees what is new in the logs.
    pub(super) async fn look(&self) {
        match self.behind().await {
            Ok(behind) => self.feeds.see(behind),
            Err(error) => self.failed(&error.into()),
        }
    }

    async fn behind(&self) -> Result<Vec<cursors::Behind>, StoreError> {
        cursors::behind(&mut *self.store.reader().await?, &self.feeds.name).await
    }

    /// Makes durable what was confirmed.
    pub(super) async fn save(&self) {
        let unsaved = self.feeds.unsaved();
        if unsaved.cursors.is_empty() && unsaved.replays.is_empty() {
            return;
        }
        let (cursors, replays) = (unsaved.cursors.clone(), unsaved.replays.clone());
        let progress = Upkeep::SaveProgress { sink: self.feeds.name.clone(), cursors, replays };
        match self.broker.committer.upkeep(progress).await {
            Ok(()) => self.feeds.saved(unsaved),
            Err(error) => self.failed(&error.into()),
        }
    }

    async fn alarm(&self) {
        let now = self.broker.clock.now();
        let (totals, sink) = (self.feeds.totals(now), self.feeds.name.as_str());
        gauge!("keyfold_sink_lag_events", "sink" => sink.to_owned()).set(totals.behind as f64);
        gauge!("keyfold_sink_lag_seconds", "sink" => sink.to_owned()).set(totals.lag.as_secs_f64());
        gauge!("keyfold_sink_paused", "sink" => sink.to_owned()).set(totals.paused as f64);
        gauge!("keyfold_sink_dead_letters", "sink" => sink.to_owned()).set(totals.dead as f64);
        for (tenant, lagging) in self.feeds.lagging(now, self.alarm_lag) {
            let kind = if lagging { Kind::SinkLagging } else { Kind::SinkCaughtUp };
            tracing::warn!(sink, tenant, lagging, "the lag of a sink has changed");
            report::append(&self.broker, (&tenant, sink), (kind, Outcome::OK), None).await;
        }
    }

    fn failed(&self, error: &Error) {
        let sink = &self.feeds.name;
        tracing::warn!(sink, error = error as &dyn std::error::Error, "a sink waits for the database");
    }
}
