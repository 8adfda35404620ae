//! The gate of how many: what users and tenants may ask for, and what locks them.

use super::gate::Applied;
use super::rare::Passed;
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::quota::Quotas;
use crate::store::budgets::{self, Budgets};
use crate::store::devices::Membership;
use crate::store::locks::{self, Holder, Lock};
use crate::store::{Connection, StoreError, restores, users};
use audit::event::{Event, Kind, Outcome};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What those whom a batch is about have taken of their quotas.
#[derive(Debug, Default)]
pub(super) struct Taken {
    quotas: Arc<Quotas>,
    budgets: HashMap<Holder, Budgets>,
    /// How many restores of each are not over.
    open: HashMap<Holder, u32>,
    changed: BTreeSet<Holder>,
    /// Who is locked.
    locked: HashSet<Holder>,
    /// Of them, those who were not before this batch.
    new_locks: Vec<Lock>,
    /// What has happened because of the entry that is looked at.
    follows: Vec<Event>,
}

impl Taken {
    /// Of these users, and of their tenants.
    pub(super) async fn load(
        db: &mut Connection,
        quotas: &Arc<Quotas>,
        users: &BTreeSet<Holder>,
    ) -> Result<Self, StoreError> {
        let mut taken = Self { quotas: quotas.clone(), ..Self::default() };
        if users.is_empty() {
            return Ok(taken);
        }
        let tenants: BTreeSet<Holder> = users.iter().map(|user| Holder::tenant(&user.tenant)).collect();
        let (users, all): (Vec<_>, Vec<_>) = (users.iter().collect(), users.iter().chain(&tenants).collect());
        taken.budgets = budgets::find_all(db, &all).await?.into_iter().collect();
        taken.open = restores::count_open(db, &users).await?.into_iter().collect();
        taken.locked = locks::among(db, &all).await?.into_iter().collect();
        Ok(taken)
    }

    /// Counts a restore that this user asks for. One more than the tenant may ask for freezes the tenant's.
    pub(super) fn ask(&mut self, user: &Holder, now: Timestamp) -> Result<(), Refusal> {
        let quota = self.quotas.of(&user.tenant);
        let open = self.open.get(user).copied().unwrap_or_default();
        if open >= quota.open_restores || !self.of(user).asked.has_room(quota.asking(), now) {
            return Err(Refusal::QuotaSpent);
        }
        let tenant = Holder::tenant(&user.tenant);
        if !self.of(&tenant).asked.has_room(quota.tenant_asking(), now) {
            self.lock(tenant, now);
            return Err(Refusal::TenantFrozen);
        }
        self.change(user).asked.take(quota.asking(), now);
        self.change(&tenant).asked.take(quota.tenant_asking(), now);
        self.open.insert(user.clone(), open + 1);
        Ok(())
    }

    /// Counts a failure of this user; the last that there may be locks them.
    pub(super) fn fail(&mut self, user: &Holder, now: Timestamp) {
        let allowance = self.quotas.of(&user.tenant).failing();
        let failed = &mut self.change(user).failed;
        failed.take(allowance, now);
        if !failed.has_room(allowance, now) {
            self.lock(user.clone(), now);
        }
    }

    /// Refuses where the user is locked, or the tenant's restores are frozen: before, or in this batch.
    pub(super) fn check_unlocked(&self, user: &Holder, membership: &Membership) -> Result<(), Refusal> {
        if membership.frozen || self.locked.contains(&Holder::tenant(&user.tenant)) {
            return Err(Refusal::TenantFrozen);
        }
        if membership.locked || self.locked.contains(user) {
            return Err(Refusal::UserLocked);
        }
        Ok(())
    }

    /// What has happened because of the entry that was just looked at.
    pub(super) fn take_follows(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.follows)
    }

    pub(super) async fn flush(self, db: &mut Connection) -> Result<(), StoreError> {
        let changed: Vec<_> = self.changed.iter().map(|holder| (holder, self.of(holder))).collect();
        if !changed.is_empty() {
            budgets::store_all(db, &changed).await?;
        }
        if self.new_locks.is_empty() { Ok(()) } else { locks::insert_all(db, &self.new_locks).await }
    }

    fn lock(&mut self, holder: Holder, now: Timestamp) {
        if !self.locked.insert(holder.clone()) {
            return;
        }
        let event = match holder.is_tenant() {
            true => Event::new(Kind::TenantFrozen, const { Outcome::from_static("too_many_restores") }),
            false => {
                Event::new(Kind::UserLocked, const { Outcome::from_static("too_many_failures") }).user(&*holder.user)
            }
        };
        self.new_locks.push(Lock { holder, by_admin: false, locked_at: now });
        self.follows.push(event);
    }

    fn of(&self, holder: &Holder) -> Budgets {
        self.budgets.get(holder).copied().unwrap_or_default()
    }

    fn change(&mut self, holder: &Holder) -> &mut Budgets {
        self.changed.insert(holder.clone());
        self.budgets.entry(holder.clone()).or_default()
    }
}

/// Locks by hand. Again is no fault.
pub(super) async fn lock(db: &mut Connection, lock: &Lock) -> Result<Passed, StoreError> {
    let Holder { tenant, user } = &lock.holder;
    if !lock.holder.is_tenant() && users::find(db, tenant, user).await?.is_none() {
        return Ok(Err(Refusal::Unknown));
    }
    locks::insert_all(db, std::slice::from_ref(lock)).await?;
    Ok(Ok(Applied::Done))
}

/// Lets restores go on. The quota is whole again, or the next would lock at once.
pub(super) async fn unlock(db: &mut Connection, holder: &Holder) -> Result<Passed, StoreError> {
    if !locks::remove(db, holder).await? {
        return Ok(Err(Refusal::NotLocked));
    }
    budgets::refill(db, holder).await?;
    Ok(Ok(Applied::Done))
}
