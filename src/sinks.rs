//! Delivers the log to sinks, by cursor. The log is the only queue: a slow or dead sink delays nothing but itself.

use crate::broker::Broker;
use crate::commit::Upkeep;
use crate::error::Error;
use crate::ops::log::{self as events, Entry};
use crate::store::{cursors, log};
use audit::Origin;
use audit::sink::{Delivered, Sink, SinkError};
use metrics::{counter, gauge};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long an idle sink waits before it looks again.
const IDLE: Duration = Duration::from_millis(200);
/// First and longest wait after a failure; doubled in between.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// A sink with its name, and what it may see.
pub struct Outlet {
    /// In cursors, metrics and events.
    pub name: String,
    /// Whether disclosures are delivered too.
    pub disclose: bool,
    /// Where events go.
    pub sink: Box<dyn Sink>,
}

/// Delivers until `stop`.
pub async fn pump(broker: Arc<Broker>, mut outlet: Outlet, stop: CancellationToken) {
    let mut wait = RETRY.0;
    while !stop.is_cancelled() {
        let pause = match deliver_all(&broker, &mut outlet).await {
            Ok(()) => {
                wait = RETRY.0;
                IDLE
            }
            Err(asked) => {
                counter!("keyfold_sink_failures_total", "sink" => outlet.name.clone()).increment(1);
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
    let _best_effort = deliver_all(&broker, &mut outlet).await;
}

/// Everything there is, tenant by tenant. Fails with the wait that the receiver asked for.
async fn deliver_all(broker: &Broker, outlet: &mut Outlet) -> Result<(), Option<Duration>> {
    let heads = async { Ok::<_, Error>(log::heads(&mut *broker.store.reader().await?).await?) };
    let mut lag = 0;
    for head in heads.await.map_err(|error| troubled(&outlet.name, &error))? {
        let mut next = next_index(broker, &head.tenant, &outlet.name).await.map_err(|e| troubled(&outlet.name, &e))?;
        while next < head.size {
            next = deliver_some(broker, outlet, &head.tenant, next).await?;
        }
        lag += head.size.saturating_sub(next);
    }
    gauge!("keyfold_sink_lag_events", "sink" => outlet.name.clone()).set(lag as f64);
    Ok(())
}

async fn next_index(broker: &Broker, tenant: &str, sink: &str) -> Result<u64, Error> {
    Ok(cursors::next_index(&mut *broker.store.reader().await?, tenant, sink).await?)
}

/// One batch; the cursor moves only after the sink has taken it.
async fn deliver_some(broker: &Broker, outlet: &mut Outlet, tenant: &str, from: u64) -> Result<u64, Option<Duration>> {
    let batch = read(broker, tenant, from, outlet.disclose).await.map_err(|error| troubled(&outlet.name, &error))?;
    let next = from + batch.len() as u64;
    match outlet.sink.deliver(&batch).await {
        Ok(()) => {}
        Err(SinkError::Retry { after }) => return Err(after),
        Err(error @ (SinkError::Paused(_) | SinkError::Rejected { .. })) => {
            tracing::error!(sink = outlet.name, error = &error as &dyn std::error::Error, "a sink needs an operator");
            return Err(Some(RETRY.1));
        }
    }
    let upkeep = Upkeep::AdvanceCursor { tenant: tenant.into(), sink: outlet.name.clone(), next };
    broker.committer.upkeep(upkeep).await.map_err(|error| troubled(&outlet.name, &error.into()))?;
    counter!("keyfold_sink_delivered_total", "sink" => outlet.name.clone()).increment(next - from);
    Ok(next)
}

async fn read(broker: &Broker, tenant: &str, from: u64, disclose: bool) -> Result<Vec<Delivered>, Error> {
    let origin = broker.keys.origin(tenant)?;
    let entries = events::events(broker, tenant, from).await?;
    let delivered = |entry: Entry, origin: &Origin| Delivered {
        origin: origin.clone(),
        index: entry.index,
        leaf: entry.leaf,
        disclosures: if disclose { entry.disclosures } else { Vec::new() },
    };
    Ok(entries.into_iter().map(|entry| delivered(entry, &origin)).collect())
}

/// The database is in trouble, not the sink: wait as for any failure.
fn troubled(sink: &str, error: &Error) -> Option<Duration> {
    tracing::warn!(sink, error = error as &dyn std::error::Error, "a sink waits for the database");
    None
}
