//! Users who are locked, and tenants whose restores are frozen: by their quota, or by an administrator.

use super::admin::{proposal, require_tenant};
use super::people::in_charge;
use super::restore::address_of_user;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::{Rare, Upkeep};
use crate::error::Error;
use crate::outbox::Told;
use crate::roster::Admin;
use crate::store::locks::{self, Holder, Lock};
use crate::store::notices::SealedNotice;
use audit::event::{Event, Kind, Outcome};
use metrics::gauge;
use notices::{Address, Notice};

/// Locks a user, or freezes all restores of the tenant, for the reason that the administrator gives. Nothing is released
/// once this answers.
pub async fn lock(broker: &Broker, admin: &AdminCaller, holder: Holder, reason: &str) -> Result<Lock, Error> {
    require_tenant(broker, &holder.tenant).await?;
    let lock = Lock { holder, by_admin: true, locked_at: broker.clock.now() };
    let told = told(broker, &lock).await?;
    let Holder { tenant, user } = &lock.holder;
    let proposal = proposal(tenant, admin, Rare::Lock(lock.clone()), event(&lock.holder, true).reason(reason));
    broker.committer.commit_rare(proposal.about(user).telling(told)).await?;
    Ok(lock)
}

/// Lets restores go on; gives the index of the event that says so.
pub async fn unlock(broker: &Broker, admin: &AdminCaller, holder: Holder, reason: &str) -> Result<u64, Error> {
    require_tenant(broker, &holder.tenant).await?;
    let proposal = proposal(&holder.tenant, admin, Rare::Unlock(holder.clone()), event(&holder, false).reason(reason));
    Ok(broker.committer.commit_rare(proposal.about(holder.user)).await?.index)
}

/// The tenant's locks after the one of the user `after`; its own is the first.
pub async fn list(broker: &Broker, tenant: &str, after: Option<&str>, limit: i64) -> Result<Vec<Lock>, Error> {
    Ok(locks::page(&mut *broker.store.reader().await?, tenant, after, limit).await?)
}

/// What locks this user: a lock of their own, and one of the tenant.
pub async fn of_user(broker: &Broker, tenant: &str, user: &str) -> Result<Vec<Lock>, Error> {
    let mut db = broker.store.reader().await?;
    let own = locks::find(&mut db, &Holder::user(tenant, user)).await?;
    Ok(locks::find(&mut db, &Holder::tenant(tenant)).await?.into_iter().chain(own).collect())
}

/// Tells people of what was locked by a quota.
pub async fn tell(broker: &Broker) -> Result<(), Error> {
    let (untold, (users, tenants)) = {
        let mut db = broker.store.reader().await?;
        (locks::untold(&mut db).await?, locks::count(&mut db).await?)
    };
    gauge!("keyfold_locked_users").set(users as f64);
    gauge!("keyfold_frozen_tenants").set(tenants as f64);
    for lock in untold {
        let told = told(broker, &lock).await?;
        broker.committer.upkeep(Upkeep::TellLock(lock.holder, told)).await?;
    }
    Ok(())
}

fn event(holder: &Holder, locked: bool) -> Event {
    let kind = match (holder.is_tenant(), locked) {
        (true, true) => Kind::TenantFrozen,
        (true, false) => Kind::TenantThawed,
        (false, true) => Kind::UserLocked,
        (false, false) => Kind::UserUnlocked,
    };
    let event = Event::new(kind, Outcome::OK);
    if holder.is_tenant() { event } else { event.user(&*holder.user) }
}

/// What those in charge are told, and the user.
async fn told(broker: &Broker, lock: &Lock) -> Result<Vec<SealedNotice>, Error> {
    let Holder { tenant, user } = &lock.holder;
    if !broker.outbox.is_used(tenant) {
        return Ok(Vec::new());
    }
    let mut emails: Vec<Address> = in_charge(broker, tenant).await?.iter().filter_map(Admin::address).collect();
    if !lock.holder.is_tenant() {
        emails.extend(address_of_user(broker, &mut *broker.store.reader().await?, (tenant, user)).await?);
    }
    let told = Told { tenant, user, emails: &emails, notice: notice(broker, lock) };
    Ok(broker.outbox.seal(&broker.keys, &told, broker.clock.now()))
}

fn notice(broker: &Broker, lock: &Lock) -> Notice {
    let Holder { tenant, user } = &lock.holder;
    let (quota, by_quota) = (broker.quotas.of(tenant), !lock.by_admin);
    let console = format!("{}/console/tenants/{tenant}", broker.public_url);
    if lock.holder.is_tenant() {
        let more_than = by_quota.then_some(quota.tenant_restores_per_hour);
        return Notice::TenantFrozen { more_than, page: format!("{console}/locks") };
    }
    let failures = by_quota.then_some(quota.failures_per_day);
    Notice::UserLocked { user: user.clone(), failures, page: format!("{console}/locks") }
}
