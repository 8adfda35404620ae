//! The life of a KEK, as administrators lead it.

pub mod destroy;

use super::admin::{proposal, require_tenant};
use super::revoke::Revoked;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{KekStep, Rare};
use crate::error::Error;
use crate::store::keks::{self, Kek, KekState};
use crate::store::tenants::{Protection, Tenant};
use crate::store::{StoreError, wraps};
use audit::event::{Event, Kind, Outcome};
use providers::{Context, Error as ProviderError, KeyState};
use secret::Secret;
use uuid::Uuid;

/// Registers a KEK after wrapping and unwrapping a canary with it; the first of a tenant wraps from now on.
pub async fn register(
    broker: &Broker,
    admin: &AdminCaller,
    tenant: &str,
    (provider, key_name): (&str, &str),
) -> Result<Kek, Error> {
    if !broker.kms.has(provider) {
        return Err(Error::Malformed("no provider of this name is configured"));
    }
    require_tenant(broker, tenant).await?;
    let kek = Kek {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        provider: provider.into(),
        key_name: key_name.into(),
        version: 1,
        state: KekState::Active,
        created_at: broker.clock.now(),
    };
    try_canary(broker, &kek).await?;
    let event = Event::new(Kind::KekRegistered, Outcome::OK)
        .kek(kek.id.to_string(), kek.version)
        .provider(provider)
        .provider_ref(key_name);
    broker.committer.commit_rare(proposal(tenant, admin, Rare::RegisterKek(kek.clone()), event)).await?;
    Ok(kek)
}

/// Tells the guard how often each KEK has wrapped before the start: as often as there are wraps under it.
pub async fn count_wraps(broker: &Broker) -> Result<(), StoreError> {
    for (kek, version, count) in wraps::count_all(&mut *broker.store.reader().await?).await? {
        broker.kms.count_wraps(&kek, &version, count);
    }
    Ok(())
}

/// Wraps and unwraps a random secret: the broker's permissions suffice, and the key does what it must.
async fn try_canary(broker: &Broker, kek: &Kek) -> Result<(), ProviderError> {
    if let KeyState::Unusable(why) = broker.kms.inspect(kek).await? {
        return Err(ProviderError::KeyUnusable(why));
    }
    let (canary, context) = (Secret::random(providers::SECRET_LEN), Context::new(rand32()));
    let wrapped = broker.kms.wrap(kek, &canary, &context).await?;
    let back = broker.kms.unwrap(kek, &wrapped, &context).await?;
    #[expect(clippy::disallowed_methods, reason = "the canary is compared in constant time, and protects nothing")]
    if back.matches(canary.expose()) { Ok(()) } else { Err(ProviderError::Mismatch) }
}

fn rand32() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("invariant: the system random number generator works");
    bytes
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
