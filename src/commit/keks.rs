//! The life of a KEK, each step in a transaction of its own.

use super::gate::Applied;
use super::rare::Passed;
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::store::destructions::{self, Destruction, DestructionState, Stakes};
use crate::store::keks::{self, Kek, KekState};
use crate::store::restores::{self, Owner};
use crate::store::tenants::{self, Protection};
use crate::store::{Connection, StoreError, wraps};
use providers::Wrapped;
use uuid::Uuid;

/// One step in a KEK's life.
#[derive(Debug)]
pub enum KekStep {
    /// The vendor has a new version of it, and this canary is under that.
    Rotate {
        /// The version, as the broker counts, that the canary follows.
        from: u64,
        /// Replaces the one before.
        canary: Wrapped,
    },
    /// It opens and wraps nothing until it is enabled again.
    Disable,
    /// It is used again.
    Enable,
    /// An administrator asks that what it wrapped be destroyed.
    RequestDestruction(Destruction),
}

pub(super) async fn register(db: &mut Connection, kek: &Kek, canary: &Wrapped) -> Result<Passed, StoreError> {
    if keks::holder(db, (&kek.provider, &kek.key_name)).await?.is_some() {
        return Ok(Err(Refusal::KekTaken));
    }
    keks::insert(db, kek, canary).await?;
    if tenants::find(db, &kek.tenant).await?.is_some_and(|tenant| tenant.protection.is_none()) {
        tenants::protect(db, &kek.tenant, Protection::One(kek.id)).await?;
    }
    Ok(Ok(Applied::Done))
}

pub(super) async fn protect(db: &mut Connection, tenant: &str, protection: Protection) -> Result<Passed, StoreError> {
    let ids: Vec<Uuid> = protection.keks().collect();
    let found = keks::find_all(db, &ids).await?;
    if found.iter().filter(|kek| kek.tenant == tenant).count() < ids.len() {
        return Ok(Err(Refusal::Unknown));
    }
    if found.iter().any(|kek| kek.state != KekState::Active) {
        return Ok(Err(Refusal::KekInactive));
    }
    tenants::protect(db, tenant, protection).await?;
    Ok(Ok(Applied::Done))
}

pub(super) async fn step(
    db: &mut Connection,
    (tenant, id): (&str, Uuid),
    step: &KekStep,
    now: Timestamp,
) -> Result<Passed, StoreError> {
    let Some(kek) = keks::find(db, id).await?.filter(|kek| kek.tenant == tenant) else {
        return Ok(Err(Refusal::Unknown));
    };
    match step {
        KekStep::Rotate { from, canary } => rotate(db, &kek, (*from, canary)).await,
        KekStep::Disable => disable(db, &kek, now).await,
        KekStep::Enable => enable(db, &kek).await,
        KekStep::RequestDestruction(destruction) => request_destruction(db, &kek, destruction).await,
    }
}

/// Compare and swap: of two that rotate at once, one does.
async fn rotate(db: &mut Connection, kek: &Kek, (from, canary): (u64, &Wrapped)) -> Result<Passed, StoreError> {
    if kek.state != KekState::Active {
        return Ok(Err(Refusal::KekInactive));
    }
    if kek.version != from {
        return Ok(Err(Refusal::NothingToRotate));
    }
    keks::rotate(db, kek.id, canary).await?;
    Ok(Ok(Applied::Done))
}

/// State and open restores in one transaction: when it has committed, no later release can.
async fn disable(db: &mut Connection, kek: &Kek, now: Timestamp) -> Result<Passed, StoreError> {
    if kek.state != KekState::Active {
        return Ok(Err(Refusal::KekInactive));
    }
    keks::set_state(db, kek.id, KekState::Disabled).await?;
    let restores = end_restores_under(db, (&kek.tenant, kek.id), now).await?;
    Ok(Ok(Applied::Revoked { restores, at: now }))
}

async fn enable(db: &mut Connection, kek: &Kek) -> Result<Passed, StoreError> {
    if kek.state != KekState::Disabled {
        return Ok(Err(Refusal::KekNotDisabled));
    }
    keks::set_state(db, kek.id, KekState::Active).await?;
    Ok(Ok(Applied::Done))
}

async fn request_destruction(db: &mut Connection, kek: &Kek, destruction: &Destruction) -> Result<Passed, StoreError> {
    if kek.state == KekState::Destroyed {
        return Ok(Err(Refusal::KekInactive));
    }
    if destructions::stakes(db, kek.id).await? != destruction.stakes {
        return Ok(Err(Refusal::CountChanged));
    }
    destructions::insert(db, destruction).await?;
    Ok(Ok(Applied::Done))
}

/// Two people, one day, and a count that both have seen: else nothing is destroyed. From here on the KEK opens nothing;
/// [`super::Upkeep::Shred`] deletes what it wrapped, page by page, for nobody else could write meanwhile.
pub(super) async fn confirm_destruction(
    db: &mut Connection,
    (tenant, id): (&str, Uuid),
    (person, stakes): (&str, Stakes),
    now: Timestamp,
) -> Result<Passed, StoreError> {
    let order = match open_destruction(db, (tenant, id), now).await? {
        Ok(order) => order,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if order.requested_by == person {
        return Ok(Err(Refusal::SecondAdministratorNeeded));
    }
    if destructions::stakes(db, order.kek).await? != stakes {
        return Ok(Err(Refusal::CountChanged));
    }
    let restores = end_restores_under(db, (tenant, order.kek), now).await?;
    keks::set_state(db, order.kek, KekState::Destroyed).await?;
    destructions::set_state(db, id, DestructionState::Confirmed).await?;
    Ok(Ok(Applied::Revoked { restores, at: now }))
}

pub(super) async fn cancel_destruction(
    db: &mut Connection,
    order: (&str, Uuid),
    now: Timestamp,
) -> Result<Passed, StoreError> {
    if let Err(refusal) = open_destruction(db, order, now).await? {
        return Ok(Err(refusal));
    }
    destructions::set_state(db, order.1, DestructionState::Cancelled).await?;
    Ok(Ok(Applied::Done))
}

async fn open_destruction(
    db: &mut Connection,
    (tenant, id): (&str, Uuid),
    now: Timestamp,
) -> Result<Result<Destruction, Refusal>, StoreError> {
    let Some(order) = destructions::find(db, tenant, id).await? else { return Ok(Err(Refusal::Unknown)) };
    let open = order.state == DestructionState::Requested && now < order.expires_at();
    Ok(if open { Ok(order) } else { Err(Refusal::DestructionOver) })
}

/// Ends the open restores of which any record is under the KEK; others go on.
pub(super) async fn end_restores_under(
    db: &mut Connection,
    (tenant, kek): (&str, Uuid),
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut ended = 0;
    for (restore, asked) in restores::open_of(db, tenant).await? {
        if wraps::of_records(db, &asked).await?.iter().any(|wrap| wrap.kek == kek) {
            ended += restores::revoke_of(db, tenant, Owner::Itself(restore), now).await?;
        }
    }
    Ok(ended)
}
