//! The frequent changes, and the gate that each must pass. Pure: it sees what the transaction has loaded, and decides.

use super::approvals::{Decide, decide};
use super::release::{ReleaseRequest, acknowledge, begin, fetch, finish, land, land_refused};
use super::veto::veto;
use super::view::View;
use super::wraps::{self, Rewrap};
use super::{Principal, Proposal};
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::inventory::Device;
use crate::store::Standing;
use crate::store::devices::Membership;
use crate::store::keks::KekState;
use crate::store::locks::Holder;
use crate::store::nonces::SpentNonce;
use crate::store::records::Record;
use crate::store::restores::{Restore, RestoreState};
use crate::store::wraps::Wrap;
use audit::event::Kind;
use protocol::approval::Decision;
use uuid::Uuid;

/// A frequent change of state.
#[derive(Debug)]
pub enum Change {
    /// None: it was refused before the gate; names the restore that it was about.
    Refuse(Refusal, Option<Uuid>),
    /// None: the event says what happened.
    Remark,
    /// Stores a record with what opens it; its leaf index is filled in.
    StoreRecord(Box<Record>, Vec<Wrap>),
    /// Replaces what opens a record.
    Rewrap(Rewrap),
    /// Asks for a restore, and spends the login that was made for it.
    OpenRestore(Box<Restore>, Option<SpentNonce>),
    /// Approved becomes releasing: the caller alone may now unwrap.
    BeginRelease(ReleaseRequest),
    /// Releasing becomes released, with the sealed answer.
    FinishRelease(ReleaseRequest, Vec<u8>),
    /// Releasing becomes approved again, or failed where trying again cannot help.
    AbortRelease {
        /// Which restore.
        restore: Uuid,
        /// Which release of it.
        flight: Uuid,
        /// Whether the device may ask again.
        retryable: bool,
    },
    /// The sealed answer is asked for again.
    FetchAgain(ReleaseRequest),
    /// The device has what was released: the answer is forgotten.
    Acknowledge(ReleaseRequest),
    /// Somebody approves a restore or rejects it.
    Decide(Box<Decide>),
    /// The user stops it.
    Veto(Uuid),
    /// Time has run out.
    Expire(Uuid),
}

impl Change {
    /// The restore that it is about.
    pub(super) fn restore(&self) -> Option<Uuid> {
        match self {
            Self::Remark | Self::StoreRecord(..) | Self::Rewrap(_) | Self::OpenRestore(..) => None,
            Self::Refuse(_, restore) => *restore,
            Self::Decide(decide) => Some(decide.approval.restore),
            Self::BeginRelease(request)
            | Self::FinishRelease(request, _)
            | Self::FetchAgain(request)
            | Self::Acknowledge(request) => Some(request.restore),
            Self::AbortRelease { restore, .. } | Self::Veto(restore) | Self::Expire(restore) => Some(*restore),
        }
    }
}

/// What a change found or made.
#[derive(Debug)]
pub enum Applied {
    /// Nothing that the caller does not know.
    Done,
    /// The restore as it stands now.
    Restore(Box<Restore>),
    /// Access is gone, and with it this many open restores.
    Revoked {
        /// How many.
        restores: u64,
        /// Unix milliseconds; from then on nothing is released.
        at: Timestamp,
    },
}

/// Checks one proposal against the view and applies it there. Nothing is applied when it refuses, but the nonce is spent.
pub(super) fn pass(
    proposal: &mut Proposal<Change>,
    view: &mut View,
    leaf_index: u64,
    now: Timestamp,
) -> Result<Applied, Refusal> {
    if let Some(nonce) = proposal.nonce {
        view.spend(nonce)?;
    }
    let passed = match &proposal.principal {
        Some(principal) => check_principal(view, &proposal.tenant, principal),
        None => Ok(()),
    };
    let passed = passed.and_then(|()| apply(proposal, view, leaf_index, now));
    if let (Err(refusal), Change::FinishRelease(release, _)) = (&passed, &proposal.change) {
        land_refused(view, release, *refusal, now);
    }
    if let Some(user) = failed(proposal, view, passed.as_ref().err()) {
        view.taken.fail(&user, now);
    }
    passed
}

/// Whose failure it is: who asks for what they may not have, whose restore is stopped, or who tries to guess.
fn failed(proposal: &Proposal<Change>, view: &View, refusal: Option<&Refusal>) -> Option<Holder> {
    let of = |restore: &Uuid| view.restores.get(restore).map(Restore::holder);
    match (&proposal.change, refusal) {
        (_, Some(Refusal::PolicyDenied | Refusal::RecordUnknown | Refusal::LoginInvalid))
            if proposal.event.kind == Kind::RestoreRequested =>
        {
            Some(Holder::user(&proposal.tenant, &proposal.subject))
        }
        (Change::Decide(decide), Some(Refusal::MatchCodeWrong)) => of(&decide.approval.restore),
        (Change::Decide(decide), None) if decide.approval.decision == Decision::Reject => of(&decide.approval.restore),
        (Change::Veto(restore), None) => of(restore),
        _ => None,
    }
}

fn check_principal(view: &View, tenant: &str, principal: &Principal) -> Result<(), Refusal> {
    let known = view.devices.get(&principal.device);
    let own = known.filter(|(device, _)| device.tenant == tenant && device.user == principal.user);
    let (device, membership) = own.ok_or(Refusal::DeviceInactive)?;
    check_standing(device, membership)
}

/// Refuses where tenant, user or device is not active.
pub fn check_standing(device: &Device, membership: &Membership) -> Result<(), Refusal> {
    match (membership.tenant, membership.user, device.state) {
        (Standing::Active, Standing::Active, Standing::Active) => Ok(()),
        (Standing::Pending | Standing::Revoked, ..) => Err(Refusal::TenantInactive),
        (_, Standing::Pending | Standing::Revoked, _) => Err(Refusal::UserInactive),
        (_, _, Standing::Pending | Standing::Revoked) => Err(Refusal::DeviceInactive),
    }
}

fn apply(
    proposal: &mut Proposal<Change>,
    view: &mut View,
    leaf_index: u64,
    now: Timestamp,
) -> Result<Applied, Refusal> {
    let tenant = &proposal.tenant;
    let principal = proposal.principal.as_ref();
    match &mut proposal.change {
        Change::Refuse(refusal, _) => return Err(*refusal),
        Change::Remark => {}
        Change::StoreRecord(record, wraps) => {
            record.leaf_index = leaf_index;
            let protection = principal.and_then(|principal| view.devices.get(&principal.device)?.1.protection);
            wraps::check(view, tenant, protection, wraps)?;
            store_record(view, record, std::mem::take(wraps))?;
        }
        Change::Rewrap(rewrap) => wraps::swap(view, tenant, rewrap)?,
        Change::OpenRestore(restore, login) => open(view, restore, *login, now)?,
        Change::BeginRelease(release) => return begin(view, tenant, principal, release, now),
        Change::FinishRelease(release, answer) => {
            return finish(view, tenant, principal, release, (std::mem::take(answer), leaf_index, now));
        }
        Change::FetchAgain(release) => return fetch(view, tenant, principal, release, now),
        Change::Acknowledge(release) => acknowledge(view, tenant, principal, release, now)?,
        Change::AbortRelease { restore, flight, retryable } => {
            let next = if *retryable { RestoreState::Approved } else { RestoreState::Failed };
            if !land(view, (*restore, *flight), next, now) {
                return Err(Refusal::RestoreOver);
            }
        }
        Change::Decide(decision) => decide(view, tenant, principal, decision, now)?,
        Change::Veto(restore) => veto(view, tenant, principal, *restore, now)?,
        Change::Expire(restore) => expire(view, *restore, now)?,
    }
    Ok(Applied::Done)
}

fn open(view: &mut View, restore: &Restore, login: Option<SpentNonce>, now: Timestamp) -> Result<(), Refusal> {
    let user = restore.holder();
    let (_, membership) = view.devices.get(&restore.device).ok_or(Refusal::DeviceInactive)?;
    view.taken.check_unlocked(&user, membership)?;
    if let Some(login) = login {
        view.spend(login).map_err(|_| Refusal::LoginInvalid)?;
    }
    view.taken.ask(&user, now)?;
    view.insert_restore(restore.clone());
    Ok(())
}

fn store_record(view: &mut View, record: &Record, wraps: Vec<Wrap>) -> Result<(), Refusal> {
    if view.taken_records.contains(&record.id) {
        return Err(Refusal::RecordTaken);
    }
    let line = (record.tenant.clone(), record.user.clone(), record.kind.clone());
    // Compare and swap: two devices that back up at once must not both be the newest.
    if record.generation != view.newest.get(&line).map_or(1, |newest| newest + 1) {
        return Err(Refusal::StaleGeneration);
    }
    view.newest.insert(line, record.generation);
    view.taken_records.insert(record.id);
    view.new_records.push(record.clone());
    view.new_wraps.extend(wraps);
    Ok(())
}

pub(super) fn check_kek(view: &View, tenant: &str, kek: Uuid) -> Result<(), Refusal> {
    let usable = view.keks.get(&kek).is_some_and(|kek| kek.tenant == tenant && kek.state == KekState::Active);
    if usable { Ok(()) } else { Err(Refusal::KekInactive) }
}

fn expire(view: &mut View, id: Uuid, now: Timestamp) -> Result<(), Refusal> {
    let overdue = view.restores.get(&id).is_some_and(|restore| {
        let open = match restore.state {
            RestoreState::Pending | RestoreState::Approved | RestoreState::Released => true,
            RestoreState::Releasing
            | RestoreState::Acknowledged
            | RestoreState::Failed
            | RestoreState::Expired
            | RestoreState::Revoked
            | RestoreState::Vetoed
            | RestoreState::Rejected => false,
        };
        open && now >= restore.expires_at
    });
    if !overdue {
        return Err(Refusal::RestoreOver);
    }
    move_to(view, id, RestoreState::Expired, now);
    Ok(())
}

/// Moves a restore on; the sealed answer lives only in state `released`.
pub(super) fn move_to(view: &mut View, id: Uuid, state: RestoreState, now: Timestamp) {
    if let Some(restore) = view.restores.get_mut(&id) {
        restore.state = state;
        restore.changed_at = now;
        restore.answer = None;
        view.changed_restores.insert(id);
    }
}

pub(super) fn restored(view: &View, id: Uuid) -> Applied {
    view.restores.get(&id).map_or(Applied::Done, |restore| Applied::Restore(Box::new(restore.clone())))
}
