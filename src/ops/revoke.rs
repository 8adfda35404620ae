//! An administrator takes access away. When this answers, nothing of the target is released any more.

use super::admin::proposal;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{Applied, Rare, Target};
use crate::error::Error;
use crate::store::{devices, restores};
use audit::event::{Event, Kind, Outcome};

/// What a revocation did.
#[derive(Debug, Clone, Copy)]
pub struct Revoked {
    /// Unix milliseconds; nothing is released after it.
    pub effective_at: i64,
    /// Open restores that ended with it.
    pub restores_ended: u64,
}

/// Takes away `target`, for the reason that the administrator gives.
pub async fn revoke(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (target, reason): (Target, &str),
) -> Result<Revoked, Error> {
    let (event, subject) = event(broker, &target).await?;
    let event = event.reason(reason);
    let proposal = proposal(tenant, admin, Rare::Revoke(target), event);
    let committed = broker.committer.commit_rare(super::admin::about(proposal, subject)).await?;
    match committed.applied {
        Applied::Revoked { restores, at } => Ok(Revoked { effective_at: at, restores_ended: restores }),
        Applied::Done | Applied::Restore(_) => Err(Error::Interrupted),
    }
}

/// The event, and whose key seals what it withholds.
async fn event(broker: &Broker, target: &Target) -> Result<(Event, String), Error> {
    let event = |kind| Event::new(kind, Outcome::OK);
    Ok(match target {
        Target::Tenant => (event(Kind::TenantSuspended), String::new()),
        Target::User(user) => (event(Kind::UserRevoked).user(user.clone()), user.clone()),
        Target::Device(id) => {
            let device = devices::find(&mut *broker.store.reader().await?, *id).await?;
            let user = device.map(|device| device.user).unwrap_or_default();
            (event(Kind::DeviceRevoked).device(id.to_string()).user(user.clone()), user)
        }
        Target::Restore(id) => {
            let restore = restores::find(&mut *broker.store.reader().await?, *id).await?;
            let user = restore.map(|restore| restore.user).unwrap_or_default();
            (event(Kind::RestoreRevoked).correlation(*id).user(user.clone()), user)
        }
        Target::Kek(id) => (event(Kind::KekDisabled).kek(id.to_string(), 1), String::new()),
    })
}
