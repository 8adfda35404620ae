//! A drill: a random sample of records is opened, through every wrap that each has, and nothing is released.

use super::admin::{proposal, require_tenant};
use super::protect;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::Rare;
use crate::error::Error;
use crate::kms::{self, Kms};
use crate::store::keks::{Kek, KekState};
use crate::store::records::{self, RecordSummary};
use crate::store::wraps::Wrap;
use audit::event::{Event, Exposure, Kind, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// For the whole sample; below the patience of a client. What is not opened by then was not tried.
const DEADLINE: Duration = Duration::from_secs(50);

/// A wrap that did not open.
#[derive(Debug)]
pub struct Failed {
    /// Whose wrap.
    pub record: Uuid,
    /// Under which KEK.
    pub kek: Uuid,
    /// The reason code.
    pub code: &'static str,
}

/// What a drill found.
#[derive(Debug)]
pub struct Report {
    /// The `cor` of its events.
    pub id: Uuid,
    /// Records drawn.
    pub sampled: usize,
    /// Records of which every wrap opened.
    pub opened: usize,
    /// Records for which there was no time.
    pub untried: usize,
    /// Each wrap that did not open.
    pub failed: Vec<Failed>,
    /// For each KEK, how many wraps opened and how many did not.
    pub keks: BTreeMap<Uuid, (u64, u64)>,
}

/// A record with what opens it.
type Drawn = (RecordSummary, Vec<(Wrap, Kek)>);

/// Opens a random sample of the tenant's records, at most `sample`, and lets go of what was in them. Recorded; a record
/// that does not open raises a finding too.
pub async fn drill(broker: &Broker, admin: &AdminCaller, tenant: &str, sample: u16) -> Result<Report, Error> {
    require_tenant(broker, tenant).await?;
    let drawn = draw(broker, tenant, sample).await?;
    let (sampled, id) = (drawn.len(), Uuid::now_v7());
    let mut report = Report { id, sampled, opened: 0, untried: sampled, failed: Vec::new(), keks: BTreeMap::new() };
    // What the deadline cuts off stays untried.
    if let Ok(done) = timeout(DEADLINE, report.open_all(&broker.kms.background(), tenant, &drawn)).await {
        done?;
    }
    record(broker, admin, tenant, &report).await?;
    Ok(report)
}

async fn draw(broker: &Broker, tenant: &str, sample: u16) -> Result<Vec<Drawn>, Error> {
    let mut db = broker.store.reader().await?;
    let ids = records::sample(&mut db, tenant, sample).await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(records::openable(&mut db, &ids).await?)
}

impl Report {
    async fn open_all(&mut self, kms: &Kms, tenant: &str, drawn: &[Drawn]) -> Result<(), Error> {
        for (record, wraps) in drawn {
            let context = providers::Context::new(*protect::context_of(tenant, record)?.as_bytes());
            // An order holds for a drill too: what is not active opens nothing.
            let (active, ordered): (Vec<_>, Vec<_>) =
                wraps.iter().cloned().partition(|(_, kek)| kek.state == KekState::Active);
            let failed = protect::try_each(kms, &active, &context).await;
            let failed = failed.into_iter().map(|(kek, error)| (kek.id, kms::code(&error)));
            let ordered = ordered.iter().map(|(_, kek)| (kek.id, "kek_inactive"));
            self.add(record.id, wraps, failed.chain(ordered).collect());
        }
        Ok(())
    }

    fn add(&mut self, record: Uuid, wraps: &[(Wrap, Kek)], failed: Vec<(Uuid, &'static str)>) {
        for (_, kek) in wraps {
            let count = self.keks.entry(kek.id).or_default();
            if failed.iter().any(|(id, _)| *id == kek.id) { count.1 += 1 } else { count.0 += 1 }
        }
        self.untried -= 1;
        self.opened += usize::from(failed.is_empty());
        self.failed.extend(failed.into_iter().map(|(kek, code)| Failed { record, kek, code }));
    }

    fn outcome(&self) -> Outcome {
        match (self.failed.is_empty(), self.untried) {
            (false, _) => Outcome::from_static("drill_failed"),
            (true, 0) => Outcome::OK,
            (true, 1..) => Outcome::from_static("drill_incomplete"),
        }
    }

    fn exposure(&self) -> Exposure {
        let opened = self.keks.values().any(|(opened, _)| *opened > 0);
        if opened { Exposure::PlaintextInBroker } else { Exposure::None }
    }

    fn described(&self) -> String {
        let Self { sampled, opened, untried, .. } = self;
        format!("{sampled} sampled, {opened} opened, {} failed, {untried} not tried", sampled - opened - untried)
    }
}

async fn record(broker: &Broker, admin: &AdminCaller, tenant: &str, report: &Report) -> Result<(), Error> {
    let event = Event::new(Kind::DrillCompleted, report.outcome()).correlation(report.id).record(report.described());
    let event = event.exposure(report.exposure());
    broker.committer.commit_rare(proposal(tenant, admin, Rare::Note, event)).await?;
    if report.failed.is_empty() {
        return Ok(());
    }
    metrics::counter!("keyfold_findings_total", "rule" => "drill_failed").increment(1);
    let mut records: Vec<String> = report.failed.iter().map(|failed| failed.record.to_string()).collect();
    records.dedup();
    let finding = Event::new(Kind::FindingRaised, report.outcome()).correlation(report.id).record(records.join(" "));
    broker.committer.commit_rare(proposal(tenant, admin, Rare::Note, finding)).await.map(drop)
}
