//! A person is erased from the log: their key is destroyed, and with it what every event withholds about them.

use super::admin::{proposal, require_tenant};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{Rare, Upkeep};
use crate::directory;
use crate::error::Error;
use crate::store::log;
use crate::store::subjects::{self, Erasure};
use audit::event::{Event, Kind, Outcome};
use uuid::Uuid;

/// So many leaves are looked through in one transaction; others write between the pages.
const PAGE: u64 = 1_024;

/// Erases a user whose access was revoked. When this answers, neither database nor journal holds the key, and nothing leads
/// from the events about the person to them. Gives the reference that those events are marked with from now on.
pub async fn erase(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (user, reason): (&str, &str),
) -> Result<Uuid, Error> {
    require_tenant(broker, tenant).await?;
    let erasure = Erasure { id: Uuid::now_v7(), tenant: tenant.into(), user: user.into() };
    // Whom it is about, the event must not say.
    let event = Event::new(Kind::SubjectErased, Outcome::OK).correlation(erasure.id).reason(reason);
    let change = Rare::Erase(erasure.clone(), directory::blank(&broker.keys, tenant, user));
    broker.committer.commit_rare(proposal(tenant, admin, change, event)).await?;
    complete(broker, &erasure).await?;
    Ok(erasure.id)
}

/// After a start: what was left to do when the last run ended.
pub async fn finish(broker: &Broker) -> Result<(), Error> {
    let unfinished = subjects::unfinished(&mut *broker.store.reader().await?).await?;
    for erasure in unfinished {
        tracing::info!(erasure = %erasure.id, "an erasure goes on");
        complete(broker, &erasure).await?;
    }
    Ok(())
}

async fn complete(broker: &Broker, erasure: &Erasure) -> Result<(), Error> {
    broker.keys.forget_subject(&erasure.tenant, &erasure.user);
    let head = log::head(&mut *broker.store.reader().await?, &erasure.tenant).await?.ok_or(Error::NotFound)?;
    let mut from = 0;
    while from < head.size {
        let to = from + PAGE;
        broker.committer.upkeep(Upkeep::Detach { erasure: erasure.clone(), from, to }).await?;
        from = to;
    }
    let mut db = broker.store.reader().await?;
    let nameless = broker.inventory.nameless(&mut db, &erasure.tenant, &erasure.user).await?;
    drop(db);
    broker.committer.upkeep(Upkeep::RenameDevices(nameless)).await?;
    broker.committer.upkeep(Upkeep::FinishErasure(erasure.id)).await?;
    super::empty_journal(broker).await;
    Ok(())
}
