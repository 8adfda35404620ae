//! Crypto-shredding: one administrator asks, another confirms, and what a KEK wrapped is gone.

use super::{event, find};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{KekStep, Rare, Upkeep};
use crate::error::{Error, Refusal};
use crate::ops::admin::{proposal, require_tenant};
use crate::ops::revoke::Revoked;
use crate::store::destructions::{self, Destruction, DestructionState, Stakes};
use audit::event::{Event, Kind};
use uuid::Uuid;

/// Records that one transaction of a destruction takes: some milliseconds.
const PAGE: i64 = 500;

/// An order to destroy, and whether the tenant can still wrap without the KEK.
#[derive(Debug)]
pub struct Requested {
    /// The order, with what it would do.
    pub order: Destruction,
    /// The tenant's new records go under this KEK: once it is destroyed, nothing is wrapped until others are named.
    pub wraps_new_records: bool,
}

/// Counts what would be lost and keeps the order for another administrator. Nothing else happens.
pub async fn request(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (kek, reason): (Uuid, &str),
) -> Result<Requested, Error> {
    let protection = require_tenant(broker, tenant).await?.protection;
    let kek = find(broker, tenant, kek).await?;
    let order = Destruction {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        kek: kek.id,
        reason: reason.into(),
        requested_by: admin.person.clone(),
        state: DestructionState::Requested,
        stakes: destructions::stakes(&mut *broker.store.reader().await?, kek.id).await?,
        requested_at: broker.clock.now(),
    };
    let event = described(event(Kind::KekDestructionRequested, &kek), &order, order.stakes);
    let change = Rare::StepKek(kek.id, KekStep::RequestDestruction(order.clone()));
    broker.committer.commit_rare(proposal(tenant, admin, change, event)).await?;
    let wraps_new_records = protection.is_some_and(|protection| protection.keks().any(|id| id == kek.id));
    Ok(Requested { order, wraps_new_records })
}

/// Destroys what the KEK wrapped, if `admin` is not who asked and `lost` is the count of records that nothing would
/// open any more. From the first commit on the KEK opens nothing; when this answers, neither database nor journal holds
/// what it wrapped. Where the broker dies before, [`finish`] goes on.
pub async fn confirm(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (id, lost): (Uuid, u64),
) -> Result<(Stakes, Revoked), Error> {
    let order = order(broker, tenant, id).await?;
    let kept = destructions::stakes(&mut *broker.store.reader().await?, order.kek).await?.kept;
    let stakes = Stakes { lost, kept };
    let event = described(event(Kind::KekDestroyed, &find(broker, tenant, order.kek).await?), &order, stakes);
    let change = Rare::ConfirmDestruction { id, person: admin.person.clone(), stakes };
    let committed = match broker.committer.commit_rare(proposal(tenant, admin, change, event)).await {
        Err(Error::Refused(Refusal::CountChanged)) => {
            let now = destructions::stakes(&mut *broker.store.reader().await?, order.kek).await?;
            return Err(Error::CountChanged { lost: now.lost });
        }
        committed => committed?,
    };
    shred(broker, order.kek).await?;
    Ok((stakes, committed.applied.try_into()?))
}

/// After a start: what a destruction had not deleted yet when the last run ended.
pub async fn finish(broker: &Broker) -> Result<(), Error> {
    let unfinished = destructions::unfinished(&mut *broker.store.reader().await?).await?;
    for (tenant, kek) in unfinished {
        tracing::info!(tenant, %kek, "a destruction goes on");
        shred(broker, kek).await?;
    }
    Ok(())
}

/// Deletes what a destroyed KEK wrapped; others write between the pages.
async fn shred(broker: &Broker, kek: Uuid) -> Result<(), Error> {
    loop {
        let records = destructions::records_under(&mut *broker.store.reader().await?, kek, PAGE).await?;
        if records.is_empty() {
            break;
        }
        broker.committer.upkeep(Upkeep::Shred { kek, records }).await?;
    }
    crate::ops::empty_journal(broker).await;
    Ok(())
}

/// Takes an order back.
pub async fn cancel(broker: &Broker, admin: &AdminCaller, tenant: &str, id: Uuid) -> Result<Destruction, Error> {
    let asked = order(broker, tenant, id).await?;
    let event =
        described(event(Kind::KekDestructionCancelled, &find(broker, tenant, asked.kek).await?), &asked, asked.stakes);
    broker.committer.commit_rare(proposal(tenant, admin, Rare::CancelDestruction(id), event)).await?;
    order(broker, tenant, id).await
}

async fn order(broker: &Broker, tenant: &str, id: Uuid) -> Result<Destruction, Error> {
    destructions::find(&mut *broker.store.reader().await?, tenant, id).await?.ok_or(Error::NotFound)
}

fn described(event: Event, order: &Destruction, stakes: Stakes) -> Event {
    let counts = format!("{} lost, {} kept", stakes.lost, stakes.kept);
    event.correlation(order.id).reason(&*order.reason).record(counts)
}
