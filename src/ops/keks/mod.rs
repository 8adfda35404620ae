//! The life of a KEK, as administrators lead it.

pub mod destroy;
pub mod health;

use super::admin::{proposal, require_tenant};
use super::revoke::Revoked;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{KekStep, Rare};
use crate::error::{Error, Refusal};
use crate::kms;
use crate::kms::probe::{Fit, Unfit};
use crate::store::keks::{self, Kek, KekState};
use crate::store::tenants::{Protection, Tenant};
use crate::store::{StoreError, wraps};
use audit::event::{Event, Kind, Outcome};
use uuid::Uuid;

/// Registers a KEK after wrapping and unwrapping a canary with it; the first of a tenant wraps from now on.
pub async fn register(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (provider, key_name): (&str, &str),
) -> Result<Kek, Error> {
    let kek = candidate(broker, tenant, (provider, key_name)).await?;
    let event = event(Kind::KekRegistered, &kek).provider_ref(key_name);
    let fit = match try_out(broker, &kek).await {
        Ok(fit) => fit,
        Err(error) => return Err(deny(broker, admin, (tenant, event), error).await),
    };
    let change = Rare::RegisterKek(kek.clone(), fit.canary);
    broker.committer.commit_rare(proposal(tenant, admin, change, event)).await?;
    Ok(kek)
}

/// Tries all that a KEK of the tenant would need, and registers nothing.
pub async fn probe(broker: &Broker, tenant: &str, key: (&str, &str)) -> Result<Result<Fit, Box<Unfit>>, Error> {
    match try_out(broker, &candidate(broker, tenant, key).await?).await {
        Ok(fit) => Ok(Ok(fit)),
        Err(Error::Unfit(unfit)) => Ok(Err(unfit)),
        Err(error) => Err(error),
    }
}

async fn candidate(broker: &Broker, tenant: &str, (provider, key_name): (&str, &str)) -> Result<Kek, Error> {
    if !broker.kms.has(provider) {
        return Err(Error::Malformed("no provider of this name is configured"));
    }
    require_tenant(broker, tenant).await?;
    Ok(Kek {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        provider: provider.into(),
        key_name: key_name.into(),
        version: 1,
        state: KekState::Active,
        created_at: broker.clock.now(),
    })
}

async fn try_out(broker: &Broker, kek: &Kek) -> Result<Fit, Error> {
    free_for(broker, &kek.tenant, (&kek.provider, &kek.key_name)).await??;
    Ok(broker.kms.probe(kek).await?)
}

/// Refuses a key that is kept for others, or is another tenant's KEK: the provider must not even be asked.
pub(super) async fn free_for(
    broker: &Broker,
    tenant: &str,
    key: (&str, &str),
) -> Result<Result<(), Refusal>, StoreError> {
    if let Err(refusal) = broker.reserved.check(tenant, key) {
        return Ok(Err(refusal));
    }
    let holder = keks::holder(&mut *broker.store.reader().await?, key).await?;
    Ok(if holder.is_some_and(|holder| holder != tenant) { Err(Refusal::KekTaken) } else { Ok(()) })
}

/// Writes that it was not done, and gives back why.
async fn deny(broker: &Broker, admin: &AdminCaller, (tenant, mut event): (&str, Event), error: Error) -> Error {
    let code = if let Error::Refused(refusal) = &error {
        refusal.as_str()
    } else if let Error::Unfit(unfit) = &error {
        kms::code(&unfit.error)
    } else {
        return error;
    };
    event.kind = Kind::AdminDenied;
    event.outcome = Outcome::from_static(code);
    match broker.committer.commit_rare(proposal(tenant, admin, Rare::Note, event)).await {
        Ok(_) => error,
        Err(unrecorded) => unrecorded,
    }
}

/// The customer has made a new version at the vendor: the broker tries it, and counts one more. Records that were
/// wrapped before are stale until they are rewrapped. `force` where the vendor shows no versions.
pub async fn rotate(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (id, force): (Uuid, bool),
) -> Result<Kek, Error> {
    let kek = find(broker, tenant, id).await?;
    let event = event(Kind::KekRotated, &Kek { version: kek.version + 1, ..kek.clone() });
    let fit = match try_newest(broker, &kek, force).await {
        Ok(fit) => fit,
        Err(error) => return Err(deny(broker, admin, (tenant, event), error).await),
    };
    let event = event.provider_ref(&*fit.version);
    let step = KekStep::Rotate { from: kek.version, canary: fit.canary };
    broker.committer.commit_rare(proposal(tenant, admin, Rare::StepKek(id, step), event)).await?;
    find(broker, tenant, id).await
}

async fn try_newest(broker: &Broker, kek: &Kek, force: bool) -> Result<Fit, Error> {
    if kek.state != KekState::Active {
        return Err(Refusal::KekInactive.into());
    }
    let before = keks::canary(&mut *broker.store.reader().await?, kek.id).await?.ok_or(Error::NotFound)?;
    let fit = broker.kms.probe(kek).await?;
    let unseen = fit.version.is_empty() && force;
    if fit.version == before.version && !unseen {
        return Err(Refusal::NothingToRotate.into());
    }
    Ok(fit)
}

/// Has records wrapped under these KEKs from now on; those that exist wait for a rewrap.
pub async fn protect(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    protection: Protection,
) -> Result<Tenant, Error> {
    require_tenant(broker, tenant).await?;
    let ids: Vec<String> = protection.slots().map(|(slot, kek)| format!("{}: {kek}", slot.as_str())).collect();
    let event = Event::new(Kind::TenantProtectionChanged, Outcome::OK).policy(ids.join(", "));
    broker.committer.commit_rare(proposal(tenant, admin, Rare::Protect(protection), event)).await?;
    require_tenant(broker, tenant).await
}

/// Takes a KEK out of use until it is enabled again. When this answers, nothing under it is released any more.
pub async fn disable(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (id, reason): (Uuid, &str),
) -> Result<Revoked, Error> {
    let event = event(Kind::KekDisabled, &find(broker, tenant, id).await?).reason(reason);
    let proposal = proposal(tenant, admin, Rare::StepKek(id, KekStep::Disable), event);
    broker.committer.commit_rare(proposal).await?.applied.try_into()
}

/// Has a disabled KEK used again.
pub async fn enable(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (id, reason): (Uuid, &str),
) -> Result<Kek, Error> {
    let event = event(Kind::KekEnabled, &find(broker, tenant, id).await?).reason(reason);
    broker.committer.commit_rare(proposal(tenant, admin, Rare::StepKek(id, KekStep::Enable), event)).await?;
    find(broker, tenant, id).await
}

/// The tenant's KEK.
pub async fn find(broker: &Broker, tenant: &str, id: Uuid) -> Result<Kek, Error> {
    let found = keks::find(&mut *broker.store.reader().await?, id).await?;
    found.filter(|kek| kek.tenant == tenant).ok_or(Error::NotFound)
}

fn event(kind: Kind, kek: &Kek) -> Event {
    Event::new(kind, Outcome::OK).kek(kek.id.to_string(), kek.version).provider(&*kek.provider)
}

/// Tells the guard how often each KEK has wrapped before the start: as often as there are wraps under it.
pub async fn count_wraps(broker: &Broker) -> Result<(), StoreError> {
    for (kek, version, count) in wraps::count_all(&mut *broker.store.reader().await?).await? {
        broker.kms.count_wraps(&kek, &version, count);
    }
    Ok(())
}
