//! Bringing records under the KEKs that their tenant wants: begun, paused, resumed and stopped by administrators.

mod job;
mod record;

pub use job::run_all;

use super::admin::{proposal, require_tenant};
use super::protect;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{Rare, RewrapStep};
use crate::error::{Error, Refusal};
use crate::store::rewraps::{self, Rewrap, RewrapState};
use crate::store::wraps::{self, Slot};
use audit::event::{Event, Kind, Outcome};
use uuid::Uuid;

/// A rewrap, and how far it is.
#[derive(Debug)]
pub struct Progress {
    /// The job.
    pub rewrap: Rewrap,
    /// Records still to be wrapped anew.
    pub remaining: u64,
}

/// Begins to wrap anew every record that is not under the KEKs and versions that its tenant wants.
pub async fn start(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (per_second, verify): (Option<u32>, bool),
) -> Result<Progress, Error> {
    // To KEKs that may not be used nothing can be moved: refused at once, not found out by the job.
    wanted(broker, tenant).await?;
    let remaining = remaining(broker, tenant).await?;
    let now = broker.clock.now();
    let rewrap = Rewrap {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        state: RewrapState::Running,
        reason: String::new(),
        total: remaining,
        per_second,
        verify,
        started_at: now,
        changed_at: now,
    };
    let event = event(Kind::RewrapStarted, rewrap.id).reason(format!("{remaining} records"));
    broker.committer.commit_rare(proposal(tenant, admin, Rare::StartRewrap(rewrap.clone()), event)).await?;
    Ok(Progress { rewrap, remaining })
}

/// Pauses, resumes or stops a rewrap. A pause takes effect within a few records.
pub async fn step(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (id, step): (Uuid, RewrapStep),
) -> Result<Progress, Error> {
    let kind = match step {
        RewrapStep::Pause => Kind::RewrapPaused,
        RewrapStep::Resume => Kind::RewrapResumed,
        RewrapStep::Stop => Kind::RewrapStopped,
    };
    let change = Rare::StepRewrap { id, step, reason: String::new() };
    broker.committer.commit_rare(proposal(tenant, admin, change, event(kind, id))).await?;
    progress(broker, tenant, id).await
}

/// How far a rewrap is.
pub async fn progress(broker: &Broker, tenant: &str, id: Uuid) -> Result<Progress, Error> {
    let rewrap = rewraps::find(&mut *broker.store.reader().await?, tenant, id).await?.ok_or(Error::NotFound)?;
    let remaining = match rewrap.state {
        RewrapState::Running | RewrapState::Paused | RewrapState::Stopped => remaining(broker, tenant).await?,
        RewrapState::Completed => 0,
    };
    Ok(Progress { rewrap, remaining })
}

async fn remaining(broker: &Broker, tenant: &str) -> Result<u64, Error> {
    let protection = require_tenant(broker, tenant).await?.protection.ok_or(Refusal::KekMissing)?;
    Ok(wraps::remaining(&mut *broker.store.reader().await?, tenant, protection).await?)
}

/// What the wraps of the tenant's records should be; refuses where a KEK for it may not be used.
async fn wanted(broker: &Broker, tenant: &str) -> Result<Vec<(Slot, Uuid, u64)>, Error> {
    let keks = protect::keks_of(broker, require_tenant(broker, tenant).await?.protection).await?;
    Ok(keks.iter().map(|(slot, kek)| (*slot, kek.id, kek.version)).collect())
}

fn event(kind: Kind, rewrap: Uuid) -> Event {
    Event::new(kind, Outcome::OK).correlation(rewrap)
}
