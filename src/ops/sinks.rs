//! Sinks, as operators see them and act on them. Each act is an event of the tenant's log.

use super::admin::{proposal, require_tenant};
use super::place::{Place, index_of};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{Rare, SinkStep};
use crate::error::{Error, Refusal};
use crate::feeds::{SinkFeeds, Status};
use crate::store::dead_letters::{self, DeadLetter};
use crate::store::log;
use crate::store::replays::Replay;
use audit::event::{Event, Kind, Outcome};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// An operator waits for a test message so long.
const TEST_DEADLINE: Duration = Duration::from_secs(50);

/// Which sink, of which tenant.
pub type Name<'a> = (&'a str, &'a str);

/// A sink as operators see it.
#[derive(Debug)]
pub struct Seen {
    /// The sink.
    pub sink: Arc<SinkFeeds>,
    /// How far it is.
    pub status: Status,
}

/// The sinks that the tenant's log goes to, and how far each is.
pub async fn list(broker: &Broker, tenant: &str) -> Result<Vec<Seen>, Error> {
    require_tenant(broker, tenant).await?;
    Ok(broker.feeds.of_tenant(tenant).into_iter().map(|sink| see(sink, tenant)).collect())
}

fn see(sink: Arc<SinkFeeds>, tenant: &str) -> Seen {
    let status = sink.status(tenant);
    Seen { sink, status }
}

async fn find(broker: &Broker, (tenant, sink): Name<'_>) -> Result<Arc<SinkFeeds>, Error> {
    require_tenant(broker, tenant).await?;
    broker.feeds.of(sink, tenant).ok_or(Error::NotFound)
}

/// Sends a message that is no event; a reason code when the receiver did not take it.
pub async fn test(broker: &Broker, name: Name<'_>) -> Result<Result<(), Outcome>, Error> {
    let sink = find(broker, name).await?;
    let answer = timeout(TEST_DEADLINE, sink.test(name.0)).await;
    Ok(answer.ok().flatten().unwrap_or(Err(const { Outcome::from_static("deadline_exceeded") })))
}

/// Stops delivery until it is resumed, also over a restart.
pub async fn pause(broker: &Broker, admin: &AdminCaller, name: Name<'_>, reason: &str) -> Result<Seen, Error> {
    let sink = find(broker, name).await?;
    let event = event(Kind::SinkPaused, name.1).reason(reason);
    step(broker, admin, name, (SinkStep::Pause, event)).await?;
    sink.pause(name.0, true);
    Ok(see(sink, name.0))
}

/// Goes on at once, whoever or whatever had stopped it.
pub async fn resume(broker: &Broker, admin: &AdminCaller, name: Name<'_>, reason: &str) -> Result<Seen, Error> {
    let sink = find(broker, name).await?;
    if !sink.is_stopped(name.0) {
        return Err(Refusal::SinkRunning.into());
    }
    let event = event(Kind::SinkResumed, name.1).reason(reason);
    step(broker, admin, name, (SinkStep::Resume, event)).await?;
    sink.pause(name.0, false);
    Ok(see(sink, name.0))
}

/// Gives up what is not delivered and lies before `to`. The events stay in the log, and can be replayed.
pub async fn give_up(
    broker: &Broker,
    admin: &AdminCaller,
    name: Name<'_>,
    (to, reason): (u64, &str),
) -> Result<Seen, Error> {
    let sink = find(broker, name).await?;
    let next = sink.status(name.0).next;
    // The log itself is asked: the sink looks at it now and then only.
    let head = log::head(&mut *broker.store.reader().await?, name.0).await?.ok_or(Error::NotFound)?;
    if !(next + 1..=head.size).contains(&to) {
        return Err(Error::Malformed("`to` is not after the next event due and within the log"));
    }
    let event = event(Kind::SinkGap, &about(name.1, &(next..to))).reason(reason);
    step(broker, admin, name, (SinkStep::SkipTo(to), event)).await?;
    sink.skip_to(name.0, to);
    Ok(see(sink, name.0))
}

/// Delivers a range once more, beside what happens meanwhile. What was not delivered yet is not in it.
pub async fn replay(
    broker: &Broker,
    admin: &AdminCaller,
    name: Name<'_>,
    (from, to): (Place, Option<Place>),
) -> Result<Seen, Error> {
    let sink = find(broker, name).await?;
    let next = sink.status(name.0).next;
    let mut db = broker.store.reader().await?;
    let start = index_of(&mut db, name.0, from, next).await?;
    let end = match to {
        Some(to) => index_of(&mut db, name.0, to, next).await?,
        None => next,
    };
    drop(db);
    if start >= end {
        return Err(Error::Malformed("no event that was delivered lies in this range"));
    }
    replay_range(broker, admin, name, (sink, start..end)).await
}

/// Delivers the event of a dead letter once more; taken, it is none any longer.
pub async fn redeliver(broker: &Broker, admin: &AdminCaller, name: Name<'_>, index: u64) -> Result<Seen, Error> {
    let sink = find(broker, name).await?;
    let end = index.checked_add(1).ok_or(Error::NotFound)?;
    let letters = dead_letters::within(&mut *broker.store.reader().await?, name, index..end, 1).await?;
    if letters.is_empty() {
        return Err(Error::NotFound);
    }
    replay_range(broker, admin, name, (sink, index..end)).await
}

async fn replay_range(
    broker: &Broker,
    admin: &AdminCaller,
    name: Name<'_>,
    (sink, range): (Arc<SinkFeeds>, Range<u64>),
) -> Result<Seen, Error> {
    let event = event(Kind::SinkReplayed, &about(name.1, &range));
    let replay = Replay { id: Uuid::now_v7(), tenant: name.0.into(), next: range.start, to: range.end };
    step(broker, admin, name, (SinkStep::Replay(replay.clone()), event)).await?;
    sink.replay(replay);
    Ok(see(sink, name.0))
}

/// The dead letters from this index on.
pub async fn dead_letters(
    broker: &Broker,
    name: Name<'_>,
    (from, limit): (u64, i64),
) -> Result<Vec<DeadLetter>, Error> {
    find(broker, name).await?;
    Ok(dead_letters::within(&mut *broker.store.reader().await?, name, from..u64::MAX, limit).await?)
}

/// What an event says that it is about: the sink, and the first index and the first one beyond.
fn about(sink: &str, range: &Range<u64>) -> String {
    format!("{sink} {}..{}", range.start, range.end)
}

fn event(kind: Kind, about: &str) -> Event {
    Event::new(kind, Outcome::OK).record(about)
}

async fn step(
    broker: &Broker,
    admin: &AdminCaller,
    (tenant, sink): Name<'_>,
    (step, event): (SinkStep, Event),
) -> Result<(), Error> {
    let change = Rare::StepSink(sink.into(), step);
    broker.committer.commit_rare(proposal(tenant, admin, change, event)).await?;
    Ok(())
}
