//! What looks wrong in a tenant's log: watched for, listed, and looked for in the past.

mod watch;

pub use watch::start;

use super::log::{self as events, Entry, PAGE};
use crate::broker::Broker;
use crate::error::Error;
use crate::store::StoreError;
use crate::store::log;
use audit::finding::{Detector, Finding, Settings};
use audit::leaf::{Opened, read};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// For one look into the past; below the patience of a client.
const DEADLINE: Duration = Duration::from_secs(50);
/// Most findings that one look gives.
const MOST_FOUND: usize = 1_000;

/// A finding that the log tells of.
#[derive(Debug)]
pub struct Raised {
    /// The index of its event.
    pub index: u64,
    /// Unix seconds.
    pub iat: u64,
    /// The event's outcome: the rule's id, or what was found where no rule over the log found it.
    pub rule: String,
    /// What it is about.
    pub correlation: Option<Uuid>,
    /// What the rule saw.
    pub finding: Option<Finding>,
}

/// At most `limit` findings of the log, from this index on.
pub async fn raised(broker: &Broker, tenant: &str, from: u64, limit: i64) -> Result<Vec<Raised>, Error> {
    let leaves = log::findings(&mut *broker.store.reader().await?, tenant, from, limit).await?;
    let mut raised = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let entry = events::open(&broker.keys, &broker.store, leaf).await?;
        let Opened { event, iat, .. } = opened(&entry)?;
        let finding = Finding::from_event(&event);
        let (rule, correlation) = (event.outcome.as_str().to_owned(), event.correlation);
        raised.push(Raised { index: entry.index, iat, rule, correlation, finding });
    }
    Ok(raised)
}

/// What a look into the past asks.
#[derive(Debug)]
pub struct Look {
    /// Which rules, at which thresholds.
    pub settings: Settings,
    /// The first event that may complete a finding. Those before are read too: rules remember.
    pub from: u64,
    /// The first event that is not read any more.
    pub to: u64,
}

/// What the rules would have found.
#[derive(Debug, Default)]
pub struct Seen {
    /// Each finding, with the time of the event that completed it, in Unix seconds.
    pub findings: Vec<(u64, Finding)>,
    /// The first event that was not read: less than was asked for when time or room ran out.
    pub next: u64,
    /// Whether all was read.
    pub complete: bool,
}

/// Applies the rules to the log as it stands. Writes nothing, and stands back for those who do.
pub async fn dry_run(broker: Arc<Broker>, tenant: String, look: Look) -> Result<Seen, Error> {
    let background = broker.background.clone();
    background.spawn(async move { look.into_past(&broker, &tenant).await }).await.map_err(|_| Error::Interrupted)?
}

impl Look {
    async fn into_past(self, broker: &Broker, tenant: &str) -> Result<Seen, Error> {
        let (mut detector, mut seen) = (Detector::new(&self.settings), Seen::default());
        let store = broker.store.with_own_readers().await?;
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline && seen.findings.len() < MOST_FOUND {
            let page = seen.next..seen.next.saturating_add(PAGE);
            let entries = events::events_in(&broker.keys, &store, tenant, page).await?;
            let last = seen.next + entries.len() as u64;
            for entry in entries.iter().take_while(|entry| entry.index < self.to) {
                let opened = opened(entry)?;
                let found = detector.observe(entry.index, &opened);
                let due = found.into_iter().filter(|finding| finding.trigger() >= self.from);
                seen.findings.extend(due.map(|finding| (opened.iat, finding)));
            }
            seen.next = last.min(self.to);
            seen.complete = last >= self.to || (entries.len() as u64) < PAGE;
            if seen.complete {
                break;
            }
        }
        Ok(seen)
    }
}

/// What an entry of one's own log says.
fn opened(entry: &Entry) -> Result<Opened, Error> {
    Ok(read(&entry.leaf, &entry.disclosures).map_err(|_| StoreError::Corrupt { column: "leaf" })?)
}
