//! An auditor is to be shown a part of the log: that is an event, before anything is shown.

use super::admin::{proposal, require_tenant};
use super::place::{Place, index_of};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::Rare;
use crate::error::Error;
use crate::store::log;
use audit::event::{Event, Field, Kind, Outcome};
use audit::note;
use std::collections::BTreeSet;
use std::ops::Range;
use uuid::Uuid;

/// What an auditor is to be shown.
#[derive(Debug)]
pub struct Asked {
    /// Who.
    pub auditor: String,
    /// Which fields.
    pub fields: BTreeSet<Field>,
    /// Of which events, as the administrator named them; `None` for all.
    pub events: Option<String>,
    /// From where; the log's beginning when not given.
    pub from: Option<Place>,
    /// To where; the log's end when not given.
    pub to: Option<Place>,
}

/// What was written down about it, and what it is to be proven by.
#[derive(Debug)]
pub struct Recorded {
    /// The `cor` of the event.
    pub export: Uuid,
    /// Unix milliseconds.
    pub made_at: i64,
    /// The events.
    pub range: Range<u64>,
    /// A checkpoint that has them, with the cosignatures that it has.
    pub checkpoint: String,
}

/// Writes down who is to be shown what; nothing is shown before that is durable.
pub async fn record(broker: &Broker, admin: &AdminCaller, tenant: &str, asked: &Asked) -> Result<Recorded, Error> {
    require_tenant(broker, tenant).await?;
    let range = range(broker, tenant, asked).await?;
    let (export, made_at) = (Uuid::now_v7(), broker.clock.now());
    let event = Event::new(Kind::AuditExported, Outcome::OK).correlation(export).reason(described(asked, &range));
    broker.committer.commit_rare(proposal(tenant, admin, Rare::Export, event)).await?;
    let checkpoint = checkpoint(broker, tenant, range.end).await?;
    Ok(Recorded { export, made_at, range, checkpoint })
}

/// One that has all events below `end`: what witnesses have cosigned, where they have come so far; else the newest.
async fn checkpoint(broker: &Broker, tenant: &str, end: u64) -> Result<String, Error> {
    let witnessed = match super::log::witnessed(broker, tenant).await {
        Err(Error::NotFound) => None,
        witnessed => Some(witnessed?),
    };
    let verifier = broker.keys.of_tenant(tenant).await?.log.verifier().clone();
    let covers = |note: &String| note::open(note, &[verifier]).is_ok_and(|head| head.size >= end);
    match witnessed.filter(covers) {
        Some(witnessed) => Ok(witnessed),
        None => super::log::checkpoint(broker, tenant).await,
    }
}

/// What a reader of the log is told: `fields=.. events=.. from=.. to=.. for=..`.
fn described(asked: &Asked, range: &Range<u64>) -> String {
    let fields: Vec<_> = asked.fields.iter().map(|field| field.as_str()).collect();
    let events = asked.events.as_deref().unwrap_or("*");
    let Range { start, end } = range;
    format!("fields={} events={events} from={start} to={end} for={}", fields.join(","), asked.auditor)
}

async fn range(broker: &Broker, tenant: &str, asked: &Asked) -> Result<Range<u64>, Error> {
    let mut db = broker.store.reader().await?;
    let size = log::head(&mut db, tenant).await?.ok_or(Error::NotFound)?.size;
    let from = index_of(&mut db, tenant, asked.from.unwrap_or(Place::Index(0)), size).await?;
    let to = index_of(&mut db, tenant, asked.to.unwrap_or(Place::Index(size)), size).await?;
    if from < to { Ok(from..to) } else { Err(Error::Malformed("there is no event from `from` to `to`")) }
}
