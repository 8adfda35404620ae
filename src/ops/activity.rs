//! What went on with a tenant, hour by hour.

use super::admin::require_tenant;
use crate::broker::Broker;
use crate::clock::{Timestamp, hour_begins, hour_of};
use crate::error::Error;
use crate::latency::{Operation, Percentiles};
use crate::store::event_counts::{self, EventCount};

/// One hour of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hour {
    /// Unix milliseconds.
    pub begins_at: Timestamp,
    /// Records that were wrapped.
    pub wraps: u64,
    /// Restores that were released.
    pub restores: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Wraps and restores that failed.
    pub failures: u64,
    /// How long wraps took.
    pub wrap_latency: Option<Percentiles>,
    /// How long releases took.
    pub restore_latency: Option<Percentiles>,
}

/// The last so many hours, the one that is not over last; an hour in which nothing happened is there too.
pub async fn hours(broker: &Broker, tenant: &str, count: u16) -> Result<Vec<Hour>, Error> {
    require_tenant(broker, tenant).await?;
    let now = hour_of(broker.clock.now());
    let first = now + 1 - i64::from(count);
    let counts = event_counts::since(&mut *broker.store.reader().await?, tenant, first).await?;
    let hour = |hour: i64| Hour {
        begins_at: hour_begins(hour),
        wrap_latency: broker.latencies.of(tenant, hour, Operation::Wrap),
        restore_latency: broker.latencies.of(tenant, hour, Operation::Restore),
        ..tally(counts.iter().filter(|count| count.hour == hour))
    };
    Ok((first..=now).map(hour).collect())
}

fn tally<'a>(counts: impl Iterator<Item = &'a EventCount>) -> Hour {
    let mut hour = Hour::default();
    for EventCount { kind, events, .. } in counts {
        match kind.as_str() {
            "record.wrapped" => hour.wraps += events,
            "restore.released" => hour.restores += events,
            "wrap.failed" | "restore.failed" => hour.failures += events,
            "restore.rejected" | "restore.fetch_denied" => hour.refusals += events,
            kind if kind.ends_with(".denied") => hour.refusals += events,
            _ => {}
        }
    }
    hour
}
