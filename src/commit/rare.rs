//! The rare changes: what administrators do, and enrolment. Each has a transaction of its own.

use super::gate::Applied;
use super::keks as kek_life;
use super::{KekStep, PolicyStep, Proposal, SinkStep, people, policies, quotas, rewraps as rewrap_steps, sinks};
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::store::admins;
use crate::store::broker_keys::{self, BrokerKey};
use crate::store::destructions::Stakes;
use crate::store::devices;
use crate::store::enrolment_codes;
use crate::store::frozen_logs;
use crate::store::keks::{self, Kek};
use crate::store::locks::{Holder, Lock};
use crate::store::nonces;
use crate::store::notices;
use crate::store::restores::{self, Owner};
use crate::store::rewraps::{self, Rewrap};
use crate::store::subjects::{self, Erasure};
use crate::store::tenants::{self, Protection, Tenant};
use crate::store::tokens;
use crate::store::users;
use crate::store::{Connection, Standing, StoreError};
use providers::Wrapped;
use uuid::Uuid;

/// A rare change of state.
#[derive(Debug)]
pub enum Rare {
    /// A new tenant with its own keys and its own subject key.
    CreateTenant(Tenant, Vec<BrokerKey>, Vec<u8>),
    /// A KEK with its canary; the tenant's first one wraps from now on.
    RegisterKek(Kek, Wrapped),
    /// The KEKs that wrap from now on.
    Protect(Protection),
    /// A step in the life of this KEK.
    StepKek(Uuid, KekStep),
    /// What a KEK wrapped is destroyed, as another administrator has asked.
    ConfirmDestruction {
        /// The order.
        id: Uuid,
        /// Who confirms it.
        person: String,
        /// What they know will become of the records.
        stakes: Stakes,
    },
    /// The order to destroy is taken back.
    CancelDestruction(Uuid),
    /// Records are to be wrapped anew.
    StartRewrap(Rewrap),
    /// A rewrap is paused, resumed or stopped.
    StepRewrap {
        /// Which.
        id: Uuid,
        /// What becomes of it.
        step: RewrapStep,
        /// Why, as a reason code; empty where an administrator wants it so.
        reason: String,
    },
    /// No record is left: counted in the same transaction.
    CompleteRewrap(Uuid),
    /// A new user with a subject key.
    CreateUser(users::Row, Vec<u8>),
    /// What is known of an active user, after the version before.
    StoreUser(users::Row),
    /// This notice will not be sent.
    GiveUpNotice(Uuid),
    /// A one-time enrolment code.
    CreateCode(enrolment_codes::Row),
    /// A device, by the code of this hash.
    Enrol([u8; 32], devices::Row),
    /// Access taken away.
    Revoke(Target),
    /// A person's key is destroyed; the document takes the place of what was known of them.
    Erase(Erasure, Vec<u8>),
    /// A person who administers: new at version 1, else after the version before.
    StoreAdmin(admins::Row),
    /// A new API token.
    StoreToken(tokens::Row),
    /// An API token ends.
    RevokeToken(Uuid),
    /// A version of the tenant's policies, or what becomes of it.
    StepPolicy(Box<PolicyStep>),
    /// A step of this sink, by name.
    StepSink(String, SinkStep),
    /// A user's restores, or all of the tenant's, are locked.
    Lock(Lock),
    /// They go on, and the quota is whole again.
    Unlock(Holder),
    /// The log takes events again, although a witness knows another history of it.
    Thaw,
    /// Nothing here: the event tells what an auditor is to be shown.
    Export,
    /// Nothing here: the event tells what was done, or refused, elsewhere.
    Note,
}

impl Rare {
    /// Whether its event is signed or sealed with keys that it stores itself.
    pub(super) fn brings_keys(&self) -> bool {
        match self {
            Self::CreateTenant(..) | Self::CreateUser(..) => true,
            Self::RegisterKek(..)
            | Self::Protect(_)
            | Self::StepKek(..)
            | Self::ConfirmDestruction { .. }
            | Self::CancelDestruction(_)
            | Self::StoreUser(_)
            | Self::GiveUpNotice(_)
            | Self::CreateCode(_)
            | Self::Enrol(..)
            | Self::Revoke(_)
            | Self::StartRewrap(_)
            | Self::StepRewrap { .. }
            | Self::CompleteRewrap(_)
            | Self::Erase(..)
            | Self::StoreAdmin(_)
            | Self::StoreToken(_)
            | Self::RevokeToken(_)
            | Self::StepPolicy(_)
            | Self::StepSink(..)
            | Self::Lock(_)
            | Self::Unlock(_)
            | Self::Thaw
            | Self::Export
            | Self::Note => false,
        }
    }

    /// Whether it is possible for a revoked tenant too: what only destroys gives nothing back, and the log is delivered
    /// and audited still.
    fn suits_revoked(&self) -> bool {
        match self {
            Self::StepKek(_, KekStep::RequestDestruction(_))
            | Self::StepSink(..)
            | Self::ConfirmDestruction { .. }
            | Self::CancelDestruction(_)
            | Self::GiveUpNotice(_)
            | Self::Erase(..)
            | Self::StoreAdmin(_)
            | Self::RevokeToken(_)
            | Self::Thaw
            | Self::Export => true,
            Self::StepKek(_, KekStep::Rotate { .. } | KekStep::Disable | KekStep::Enable)
            | Self::CreateTenant(..)
            | Self::RegisterKek(..)
            | Self::Protect(_)
            | Self::CreateUser(..)
            | Self::StoreUser(_)
            | Self::CreateCode(_)
            | Self::Enrol(..)
            | Self::Revoke(_)
            | Self::StartRewrap(_)
            | Self::StepRewrap { .. }
            | Self::CompleteRewrap(_)
            | Self::StoreToken(_)
            | Self::StepPolicy(_)
            | Self::Lock(_)
            | Self::Unlock(_)
            | Self::Note => false,
        }
    }
}

/// What becomes of a rewrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewrapStep {
    /// It waits.
    Pause,
    /// It goes on.
    Resume,
    /// It is given up.
    Stop,
}

/// What a revocation takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything of the tenant.
    Tenant,
    /// A user with all devices.
    User(String),
    /// One device.
    Device(Uuid),
    /// One restore.
    Restore(Uuid),
    /// Every record under this KEK.
    Kek(Uuid),
}

pub(super) type Passed = Result<Applied, Refusal>;

/// Checks and makes one rare change. When it refuses, only the nonce has been spent.
pub(super) async fn pass(proposal: &Proposal<Rare>, db: &mut Connection, now: Timestamp) -> Result<Passed, StoreError> {
    if let Some(nonce) = proposal.nonce
        && nonces::spend(db, &[nonce]).await?.is_empty()
    {
        return Ok(Err(Refusal::NonceSpent));
    }
    if let Rare::CreateTenant(tenant, keys, subject) = &proposal.change {
        return create_tenant(db, tenant, keys, subject).await;
    }
    let tenant = &proposal.tenant;
    let state = tenants::find(db, tenant).await?.map(|tenant| tenant.state);
    let may_be = is_active(state) || (state == Some(Standing::Revoked) && proposal.change.suits_revoked());
    if !may_be {
        return Ok(Err(Refusal::TenantInactive));
    }
    match &proposal.change {
        Rare::CreateTenant(..) => Ok(Err(Refusal::Taken)),
        Rare::RegisterKek(kek, canary) => kek_life::register(db, kek, canary).await,
        Rare::Protect(protection) => kek_life::protect(db, tenant, *protection).await,
        Rare::StepKek(kek, step) => kek_life::step(db, (tenant, *kek), step, now).await,
        Rare::ConfirmDestruction { id, person, stakes } => {
            kek_life::confirm_destruction(db, (tenant, *id), (person, *stakes), now).await
        }
        Rare::CancelDestruction(id) => kek_life::cancel_destruction(db, (tenant, *id), now).await,
        Rare::StartRewrap(rewrap) => rewrap_steps::start(db, rewrap).await,
        Rare::StepRewrap { id, step, reason } => rewrap_steps::step(db, tenant, (*id, *step), (reason, now)).await,
        Rare::CompleteRewrap(id) => rewrap_steps::complete(db, tenant, *id, now).await,
        Rare::CreateUser(user, subject) => create_user(db, user, subject).await,
        Rare::StoreUser(row) => people::store_user(db, row).await,
        Rare::GiveUpNotice(id) => known(notices::remove(db, *id).await?),
        Rare::CreateCode(code) => create_code(db, code).await,
        Rare::Enrol(code, device) => enrol(db, code, device, now).await,
        Rare::Revoke(target) => revoke(db, tenant, target, now).await,
        Rare::Erase(erasure, blank) => erase(db, (erasure, blank), state).await,
        Rare::StoreAdmin(row) => people::store_admin(db, row).await,
        Rare::StoreToken(row) => people::store_token(db, row).await,
        Rare::RevokeToken(id) => people::revoke_token(db, tenant, *id).await,
        Rare::StepPolicy(step) => policies::step(db, tenant, step).await,
        Rare::StepSink(sink, step) => sinks::step(db, (tenant, sink), step).await,
        Rare::Lock(lock) => quotas::lock(db, lock).await,
        Rare::Unlock(holder) => quotas::unlock(db, holder).await,
        Rare::Thaw => thaw(db, tenant).await,
        Rare::Export | Rare::Note => Ok(Ok(Applied::Done)),
    }
}

async fn thaw(db: &mut Connection, tenant: &str) -> Result<Passed, StoreError> {
    let thawed = frozen_logs::delete(db, tenant).await?;
    Ok(if thawed { Ok(Applied::Done) } else { Err(Refusal::LogNotFrozen) })
}

fn is_active(state: Option<Standing>) -> bool {
    state == Some(Standing::Active)
}

async fn create_tenant(
    db: &mut Connection,
    tenant: &Tenant,
    keys: &[BrokerKey],
    subject: &[u8],
) -> Result<Passed, StoreError> {
    if tenants::find(db, &tenant.id).await?.is_some() {
        return Ok(Err(Refusal::Taken));
    }
    tenants::insert(db, tenant).await?;
    for key in keys {
        broker_keys::insert(db, key).await?;
    }
    subjects::insert(db, &tenant.id, "", subject).await?;
    Ok(Ok(Applied::Done))
}

async fn create_user(db: &mut Connection, user: &users::Row, subject: &[u8]) -> Result<Passed, StoreError> {
    if users::find(db, &user.tenant, &user.id).await?.is_some() {
        return Ok(Err(Refusal::Taken));
    }
    users::insert(db, user).await?;
    subjects::insert(db, &user.tenant, &user.id, subject).await?;
    Ok(Ok(Applied::Done))
}

fn known(found: bool) -> Result<Passed, StoreError> {
    Ok(if found { Ok(Applied::Done) } else { Err(Refusal::Unknown) })
}

async fn create_code(db: &mut Connection, code: &enrolment_codes::Row) -> Result<Passed, StoreError> {
    if !is_active(users::find(db, &code.tenant, &code.user).await?.map(|user| user.state)) {
        return Ok(Err(Refusal::UserInactive));
    }
    enrolment_codes::insert(db, code).await?;
    Ok(Ok(Applied::Done))
}

async fn enrol(
    db: &mut Connection,
    code: &[u8; 32],
    device: &devices::Row,
    now: Timestamp,
) -> Result<Passed, StoreError> {
    let usable = enrolment_codes::usable(db, &device.tenant, code, now).await?;
    if usable.is_none_or(|code| code.user != device.user) {
        return Ok(Err(Refusal::CodeInvalid));
    }
    if !is_active(users::find(db, &device.tenant, &device.user).await?.map(|user| user.state)) {
        return Ok(Err(Refusal::UserInactive));
    }
    if devices::is_key_known(db, &device.tenant, &device.thumbprint).await? {
        return Ok(Err(Refusal::DeviceKnown));
    }
    enrolment_codes::spend(db, code, device.id).await?;
    devices::insert(db, device).await?;
    Ok(Ok(Applied::Done))
}

/// Entity and open restores in one transaction: when it has committed, no later release can.
async fn revoke(db: &mut Connection, tenant: &str, target: &Target, now: Timestamp) -> Result<Passed, StoreError> {
    let found = match target {
        Target::Tenant => tenants::revoke(db, tenant).await?,
        Target::User(user) => users::revoke(db, tenant, user).await?,
        Target::Device(device) => devices::revoke(db, tenant, *device).await?,
        Target::Restore(_) => true,
        Target::Kek(kek) => keks::revoke(db, tenant, *kek).await?,
    };
    if !found {
        return Ok(Err(Refusal::Unknown));
    }
    if *target == Target::Tenant {
        rewraps::stop_of(db, tenant, (Refusal::TenantInactive.as_str(), now)).await?;
    }
    let ended = match target {
        Target::Tenant => restores::revoke_of(db, tenant, Owner::Tenant, now).await?,
        Target::User(user) => restores::revoke_of(db, tenant, Owner::User(user), now).await?,
        Target::Device(device) => restores::revoke_of(db, tenant, Owner::Device(*device), now).await?,
        Target::Restore(restore) => restores::revoke_of(db, tenant, Owner::Itself(*restore), now).await?,
        Target::Kek(kek) => kek_life::end_restores_under(db, (tenant, *kek), now).await?,
    };
    if ended == 0 && matches!(target, Target::Restore(_)) {
        return Ok(Err(Refusal::Unknown)); // Not there, not this tenant's, or over.
    }
    Ok(Ok(Applied::Revoked { restores: ended, at: now }))
}

/// Only of somebody who has no access any more: what they did after it, nobody could tell.
async fn erase(
    db: &mut Connection,
    (erasure, blank): (&Erasure, &[u8]),
    tenant: Option<Standing>,
) -> Result<Passed, StoreError> {
    let Some(user) = users::find(db, &erasure.tenant, &erasure.user).await? else { return Ok(Err(Refusal::Unknown)) };
    if user.state != Standing::Revoked && tenant != Some(Standing::Revoked) {
        return Ok(Err(Refusal::UserNotRevoked));
    }
    if subjects::find(db, &erasure.tenant, &erasure.user).await?.is_none() {
        return Ok(Err(Refusal::SubjectErased));
    }
    subjects::erase(db, erasure, blank).await?;
    Ok(Ok(Applied::Done))
}
