//! A tenant's events, looked for by what they say in clear.

use super::log::{Entry, PAGE, open};
use super::place::{Place, index_of};
use crate::broker::Broker;
use crate::error::Error;
use crate::store::cursors::unix_ms;
use crate::store::log::{self, Leaf};
use crate::store::{Connection, StoreError};
use audit::leaf::read;
use futures_util::{Stream, StreamExt, stream};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

/// Most events that one search looks at; the next one goes on from there.
const LOOKED_AT: u64 = 20_000;
/// An event may be signed so long, in milliseconds, before another that comes before it in the log.
const SIGNED_AHEAD: i64 = 5_000;

/// Which events are looked for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The first that may be found; the log's first when not given.
    pub from: Option<Place>,
    /// The first that may not; the log's end when not given.
    pub to: Option<Place>,
    /// Of this kind, or of those that begin so: `restore.*`.
    pub kind: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// About this KEK.
    pub kek: Option<String>,
    /// About a KEK of this provider.
    pub provider: Option<String>,
    /// Joined by this.
    pub correlation: Option<Uuid>,
    /// Backwards from the last.
    pub newest_first: bool,
    /// At most so many.
    pub limit: u64,
}

/// What was found, in the order that was asked for.
#[derive(Debug)]
pub struct Found {
    /// The events.
    pub entries: Vec<Entry>,
    /// Where to go on: `from`, or `to` where the newest come first. `None` when all was looked at.
    pub next: Option<u64>,
}

impl Wanted {
    fn is_filtered(&self) -> bool {
        self.kind.is_some() || self.says_more()
    }

    fn says_more(&self) -> bool {
        self.outcome.is_some() || self.kek.is_some() || self.provider.is_some()
    }

    fn takes(&self, leaf: &Leaf) -> Result<bool, StoreError> {
        let of_kind = self.kind.as_ref().is_none_or(|kind| match kind.strip_suffix('*') {
            Some(beginning) => leaf.kind.starts_with(beginning),
            None => leaf.kind == *kind,
        });
        if !of_kind || !self.says_more() {
            return Ok(of_kind);
        }
        let event = read::<&str>(&leaf.text, &[]).map_err(|_| StoreError::Corrupt { column: "leaf" })?.event;
        let is =
            |wanted: &Option<String>, said: Option<&str>| wanted.as_ref().is_none_or(|wanted| said == Some(wanted));
        Ok(is(&self.outcome, Some(event.outcome.as_str()))
            && is(&self.kek, event.kek.as_ref().map(|kek| kek.id.as_str()))
            && is(&self.provider, event.provider.as_deref()))
    }
}

/// The events of the tenant's log that are wanted, with their disclosures.
pub async fn search(broker: &Broker, tenant: &str, wanted: &Wanted) -> Result<Found, Error> {
    let mut db = broker.store.reader().await?;
    let size = log::head(&mut db, tenant).await?.ok_or(Error::NotFound)?.size;
    let from = index_of(&mut db, tenant, wanted.from.unwrap_or(Place::Index(0)), size).await?;
    let to = index_of(&mut db, tenant, wanted.to.unwrap_or(Place::Index(size)), size).await?;
    let (leaves, rest) = look(&mut db, tenant, wanted, from..to).await?;
    drop(db);
    let mut entries = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        entries.push(open(&broker.keys, &broker.store, leaf).await?);
    }
    let next = if wanted.newest_first { rest.end } else { rest.start };
    Ok(Found { entries, next: Some(next).filter(|_| !rest.is_empty()) })
}

async fn look(
    db: &mut Connection,
    tenant: &str,
    wanted: &Wanted,
    mut rest: Range<u64>,
) -> Result<(Vec<Leaf>, Range<u64>), StoreError> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    while found.len() as u64 != wanted.limit && !rest.is_empty() && looked_at < LOOKED_AT {
        let (leaves, after) = some(db, tenant, wanted, rest).await?;
        rest = after;
        for leaf in leaves {
            if found.len() as u64 == wanted.limit {
                rest = if wanted.newest_first { rest.start..leaf.index + 1 } else { leaf.index..rest.end };
                break;
            }
            looked_at += 1;
            if wanted.takes(&leaf)? {
                found.push(leaf);
            }
        }
    }
    Ok((found, rest))
}

/// The next leaves of `range` that may be wanted, and what is left of it.
async fn some(
    db: &mut Connection,
    tenant: &str,
    wanted: &Wanted,
    range: Range<u64>,
) -> Result<(Vec<Leaf>, Range<u64>), StoreError> {
    let count = if wanted.is_filtered() { PAGE } else { PAGE.min(wanted.limit) };
    if let Some(correlation) = wanted.correlation {
        let order = (wanted.newest_first, count.cast_signed());
        let leaves = log::correlated(db, (tenant, correlation), range.clone(), order).await?;
        let last = leaves.last().filter(|_| leaves.len() as u64 == count).map(|leaf| leaf.index);
        let rest = match last {
            None if wanted.newest_first => range.start..range.start,
            None => range.end..range.end,
            Some(last) if wanted.newest_first => range.start..last,
            Some(last) => last + 1..range.end,
        };
        return Ok((leaves, rest));
    }
    let (look, rest) = split(range, count, wanted.newest_first);
    let mut leaves = log::leaves(db, tenant, look.start, look.end).await?;
    if wanted.newest_first {
        leaves.reverse();
    }
    Ok((leaves, rest))
}

/// So many from the end that is looked at first, and the rest.
fn split(range: Range<u64>, count: u64, newest_first: bool) -> (Range<u64>, Range<u64>) {
    if newest_first {
        let middle = range.end.saturating_sub(count).max(range.start);
        (middle..range.end, range.start..middle)
    } else {
        let middle = range.start.saturating_add(count).min(range.end);
        (range.start..middle, middle..range.end)
    }
}

/// From one look for new events to the next.
const LOOK: Duration = Duration::from_millis(500);
/// Most events that are read at once.
const AT_ONCE: u64 = 100;
/// A stream ends after this long.
const LIFETIME: Duration = Duration::from_secs(60);

/// The events from this index on, or those that are still to come: for a minute, or until the broker stops. Gives the
/// first one's index, too.
pub async fn follow(
    broker: Arc<Broker>,
    tenant: String,
    from: Option<u64>,
) -> Result<(u64, impl Stream<Item = Entry>), Error> {
    let head = log::head(&mut *broker.store.reader().await?, &tenant).await?.ok_or(Error::NotFound)?;
    let ends = Instant::now() + LIFETIME;
    let first = from.unwrap_or(head.size);
    let pages = stream::unfold(first, move |next| {
        let (broker, tenant) = (broker.clone(), tenant.clone());
        async move {
            let entries = tokio::select! {
                () = broker.stopping.cancelled() => return None,
                () = sleep_until(ends) => return None,
                entries = arrived(&broker, &tenant, next) => entries.ok()?,
            };
            let after = entries.last().map_or(next, |entry| entry.index + 1);
            Some((stream::iter(entries), after))
        }
    });
    Ok((first, pages.flatten()))
}

/// Waits for the event of this index; gives it with those that came after.
async fn arrived(broker: &Broker, tenant: &str, next: u64) -> Result<Vec<Entry>, Error> {
    loop {
        let leaves =
            log::leaves(&mut *broker.store.reader().await?, tenant, next, next.saturating_add(AT_ONCE)).await?;
        if leaves.is_empty() {
            sleep(LOOK).await;
            continue;
        }
        let mut entries = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            entries.push(open(&broker.keys, &broker.store, leaf).await?);
        }
        return Ok(entries);
    }
}

/// The index of the event with this id.
pub async fn index_of_id(broker: &Broker, tenant: &str, id: Uuid) -> Result<Option<u64>, Error> {
    let Some(time) = unix_ms(&id.to_string()) else { return Ok(None) };
    let mut db = broker.store.reader().await?;
    let Some(head) = log::head(&mut db, tenant).await? else { return Ok(None) };
    let from = index_of(&mut db, tenant, Place::Time(time - SIGNED_AHEAD), head.size).await?;
    let to = head.size.min(from.saturating_add(LOOKED_AT));
    let mut rest = from..to;
    while !rest.is_empty() {
        let (look, after) = split(rest, PAGE, false);
        let leaves = log::leaves(&mut db, tenant, look.start, look.end).await?;
        if let Some(leaf) = leaves.iter().find(|leaf| leaf.jti == id.to_string()) {
            return Ok(Some(leaf.index));
        }
        rest = after;
    }
    Ok(None)
}
