//! An administrator takes access away. When this answers, nothing of the target is released any more.

use super::admin::proposal;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{Applied, Rare, Target};
use crate::error::Error;
use crate::store::{keks, restores, users};
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
    let (event, subject) = event(broker, tenant, &target).await?;
    let event = event.reason(reason);
    let proposal = proposal(tenant, admin, Rare::Revoke(target), event);
    let committed = broker.committer.commit_rare(proposal.about(subject)).await?;
    committed.applied.try_into()
}

impl TryFrom<Applied> for Revoked {
    type Error = Error;

    fn try_from(applied: Applied) -> Result<Self, Error> {
        match applied {
            Applied::Revoked { restores, at } => Ok(Self { effective_at: at, restores_ended: restores }),
            Applied::Done | Applied::Restore(_) => Err(Error::Interrupted),
        }
    }
}

/// The event, and whose key seals what it withholds. A target that the tenant has not is the tenant's own affair: the gate
/// says that it is unknown.
async fn event(broker: &Broker, tenant: &str, target: &Target) -> Result<(Event, String), Error> {
    let event = |kind| Event::new(kind, Outcome::OK);
    let mut db = broker.store.reader().await?;
    let (event, user) = match target {
        Target::Tenant => (event(Kind::TenantRevoked), None),
        Target::User(id) => (event(Kind::UserRevoked), users::find(&mut db, tenant, id).await?.map(|user| user.id)),
        Target::Device(id) => {
            let own = broker.inventory.find(&mut db, *id).await?.filter(|(device, _)| device.tenant == tenant);
            (event(Kind::DeviceRevoked).device(id.to_string()), own.map(|(device, _)| device.user))
        }
        Target::Restore(id) => {
            let own = restores::find(&mut db, *id).await?.filter(|restore| restore.tenant == tenant);
            (event(Kind::RestoreRevoked).correlation(*id), own.map(|restore| restore.user))
        }
        Target::Kek(id) => {
            let own = keks::find(&mut db, *id).await?.filter(|kek| kek.tenant == tenant);
            (event(Kind::KekRevoked).kek(id.to_string(), own.map_or(0, |kek| kek.version)), None)
        }
    };
    Ok(match user {
        Some(user) => (event.user(&*user), user),
        None => (event, String::new()),
    })
}
