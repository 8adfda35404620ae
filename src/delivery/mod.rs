//! Delivers the log to sinks, by cursor. The log is the only queue: a slow or dead sink delays nothing but itself.

pub mod connect;

use crate::broker::Broker;
use crate::commit::Upkeep;
use crate::config::sink::Selector;
use crate::error::Error;
use crate::keys::KeyError;
use crate::ops::log::{self as events, Entry};
use crate::store::StoreError;
use crate::store::cursors::{self, Behind};
use audit::event::{Field, Kind};
use audit::leaf::Opened;
use metrics::{counter, gauge};
use sinks::{Format, Message, Sink, Source, Trouble as SinkTrouble};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long an idle sink waits before it looks again.
const IDLE: Duration = Duration::from_millis(200);
/// First and longest wait after a failure; doubled in between.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// A sink with its name, and what it may see.
pub struct Outlet {
    /// In cursors, metrics and events.
    pub name: String,
    /// The only tenants whose events it receives; `None` for all.
    pub tenants: Option<BTreeSet<String>>,
    /// The only events it receives; `None` for all.
    pub events: Option<Vec<Selector>>,
    /// The disclosable fields it may see.
    pub disclosed: BTreeSet<Field>,
    /// How events are written down.
    pub format: Format,
    /// Whether each event carries a proof that the log has it.
    pub proof: bool,
    /// For one delivery, acknowledgement included.
    pub deadline: Duration,
    /// An event that waits longer than this raises an alarm.
    pub alarm_lag: Duration,
    /// Where events go.
    pub sink: Box<dyn Sink>,
}

/// What came in the way of a delivery.
enum Trouble {
    /// The sink or the database, and so every log; with the wait that the receiver asked for.
    Everywhere(Option<Duration>),
    /// This log alone: its events cannot be read, or one of them will never be accepted.
    Here,
}

/// Delivers until `stop`.
pub async fn pump(broker: Arc<Broker>, outlet: Outlet, stop: CancellationToken) {
    let mut pump = Pump { broker, outlet, held: HashMap::new() };
    let mut wait = RETRY.0;
    while !stop.is_cancelled() {
        let pause = match pump.deliver_all().await {
            Ok(()) => {
                wait = RETRY.0;
                IDLE
            }
            Err(asked) => {
                let pause = asked.unwrap_or(wait);
                wait = (wait * 2).min(RETRY.1);
                pause
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    // What was committed before the stop is delivered with it, if the sink is well.
    let _best_effort = pump.deliver_all().await;
}

struct Pump {
    broker: Arc<Broker>,
    outlet: Outlet,
    /// Logs with a trouble of their own, and when they get another try: they must not keep back the others.
    held: HashMap<String, Instant>,
}

impl Pump {
    /// Everything there is, log by log. Fails with the wait that the receiver asked for.
    async fn deliver_all(&mut self) -> Result<(), Option<Duration>> {
        let behind = self.behind().await.map_err(|error| self.failed(&error))?;
        let mut lag: u64 = behind.iter().map(|log| log.size - log.next).sum();
        self.show_lag(lag);
        for log in behind {
            if self.outlet.tenants.as_ref().is_some_and(|tenants| !tenants.contains(&log.tenant)) {
                continue;
            }
            if self.held.get(&log.tenant).is_some_and(|until| *until > Instant::now()) {
                continue;
            }
            self.held.remove(&log.tenant);
            match self.deliver_log(&log).await {
                Ok(()) => lag = lag.saturating_sub(log.size - log.next),
                Err(Trouble::Everywhere(wait)) => return Err(wait),
                Err(Trouble::Here) => {
                    self.held.insert(log.tenant, Instant::now() + RETRY.1);
                }
            }
            self.show_lag(lag);
        }
        Ok(())
    }

    async fn behind(&mut self) -> Result<Vec<Behind>, Error> {
        Ok(cursors::behind(&mut *self.broker.store.reader().await?, &self.outlet.name).await?)
    }

    fn show_lag(&self, lag: u64) {
        gauge!("keyfold_sink_lag_events", "sink" => self.outlet.name.clone()).set(lag as f64);
    }

    async fn deliver_log(&mut self, log: &Behind) -> Result<(), Trouble> {
        let mut next = log.next;
        while next < log.size {
            next = self.deliver_some(&log.tenant, next).await?;
        }
        Ok(())
    }

    /// One batch; the cursor moves only after the sink has taken it.
    async fn deliver_some(&mut self, tenant: &str, from: u64) -> Result<u64, Trouble> {
        let entries = events::events(&self.broker, tenant, from).await;
        let entries = entries.map_err(|error| self.unreadable(tenant, &error))?;
        if entries.is_empty() {
            tracing::error!(sink = self.outlet.name, tenant, from, "the log is shorter than its head says");
            return Err(self.counted(Trouble::Here));
        }
        let next = from + entries.len() as u64;
        let messages: Result<Vec<_>, Error> = entries.iter().map(|entry| self.outlet.message(entry)).collect();
        let messages = messages.map_err(|error| self.unreadable(tenant, &error))?;
        let batch: Vec<Message> = messages.into_iter().flatten().collect();
        let delivered = timeout(self.outlet.deadline, self.outlet.sink.deliver(&batch)).await;
        let delivered = delivered.unwrap_or(Err(SinkTrouble::Retry { after: None }));
        delivered.map_err(|error| self.refused(tenant, &error))?;
        let upkeep = Upkeep::AdvanceCursor { tenant: tenant.into(), sink: self.outlet.name.clone(), next };
        let advanced = self.broker.committer.upkeep(upkeep).await;
        advanced.map_err(|error| Trouble::Everywhere(self.failed(&error.into())))?;
        counter!("keyfold_sink_delivered_total", "sink" => self.outlet.name.clone()).increment(next - from);
        Ok(next)
    }

    fn refused(&self, tenant: &str, error: &SinkTrouble) -> Trouble {
        let trouble = match error {
            SinkTrouble::Retry { after } => Trouble::Everywhere(*after),
            SinkTrouble::Paused(_) => Trouble::Everywhere(Some(RETRY.1)),
            SinkTrouble::Refused(_) => Trouble::Here,
        };
        if matches!(error, SinkTrouble::Paused(_) | SinkTrouble::Refused(_)) {
            let sink = &self.outlet.name;
            tracing::error!(sink, tenant, error = error as &dyn std::error::Error, "a sink needs an operator");
        }
        self.counted(trouble)
    }

    /// What is stored does not open: only somebody who looks can help. Anything else is the database's trouble.
    fn unreadable(&self, tenant: &str, error: &Error) -> Trouble {
        if !matches!(error, Error::Store(StoreError::Corrupt { .. }) | Error::Keys(KeyError::Sealed(_))) {
            return Trouble::Everywhere(self.failed(error));
        }
        let sink = &self.outlet.name;
        tracing::error!(sink, tenant, error = error as &dyn std::error::Error, "events cannot be read");
        self.counted(Trouble::Here)
    }

    /// The database is in trouble, not the sink: wait as for any failure.
    fn failed(&self, error: &Error) -> Option<Duration> {
        tracing::warn!(
            sink = self.outlet.name,
            error = error as &dyn std::error::Error,
            "a sink waits for the database"
        );
        self.counted(None)
    }

    fn counted<T>(&self, trouble: T) -> T {
        counter!("keyfold_sink_failures_total", "sink" => self.outlet.name.clone()).increment(1);
        trouble
    }
}

impl Outlet {
    fn receives(&self, kind: Kind) -> bool {
        self.events.as_ref().is_none_or(|selectors| selectors.iter().any(|selector| selector.selects(kind)))
    }

    /// The event as this sink may see it; `None` where it is not for this sink.
    fn message(&self, entry: &Entry) -> Result<Option<Message>, Error> {
        let Entry { index, leaf, disclosures, erased } = entry;
        let may_see = |disclosure: &&String| {
            audit::leaf::disclosed_field(disclosure).is_ok_and(|field| self.disclosed.contains(&field))
        };
        let disclosures: Vec<String> = disclosures.iter().filter(may_see).cloned().collect();
        let opened = audit::leaf::read(leaf, &disclosures).map_err(|_| StoreError::Corrupt { column: "leaf" })?;
        let opened = Opened { erased: *erased, ..opened };
        let source = Source { index: *index, opened: &opened, leaf, disclosures: &disclosures, receipt: None };
        Ok(self.receives(opened.event.kind).then(|| self.format.event(&source)))
    }
}
