//! The frequent changes, and the gate that each must pass. Pure: it sees what the transaction has loaded, and decides.

use super::veto::veto;
use super::view::View;
use super::wraps::{self, Rewrap};
use super::{Principal, Proposal};
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::store::Standing;
use crate::store::devices::{Device, Membership};
use crate::store::keks::KekState;
use crate::store::records::Record;
use crate::store::restores::{Restore, RestoreState};
use crate::store::wraps::Wrap;
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
    /// Asks for a restore.
    OpenRestore(Box<Restore>),
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
    /// The user stops it.
    Veto(Uuid),
    /// Time has run out.
    Expire(Uuid),
}

impl Change {
    /// The restore that it is about.
    pub(super) fn restore(&self) -> Option<Uuid> {
        match self {
            Self::Remark | Self::StoreRecord(..) | Self::Rewrap(_) | Self::OpenRestore(_) => None,
            Self::Refuse(_, restore) => *restore,
            Self::BeginRelease(request)
            | Self::FinishRelease(request, _)
            | Self::FetchAgain(request)
            | Self::Acknowledge(request) => Some(request.restore),
            Self::AbortRelease { restore, .. } | Self::Veto(restore) | Self::Expire(restore) => Some(*restore),
        }
    }
}

/// What a request says about the restore it wants released.
#[derive(Debug, Clone)]
pub struct ReleaseRequest {
    /// Which restore.
    pub restore: Uuid,
    /// This request's own id, from its intent to its outcome: one that comes late must not end another's flight.
    pub flight: Uuid,
    /// What the device, and every approver, saw.
    pub transcript: [u8; 32],
    /// The KEKs that its records are wrapped under.
    pub keks: Vec<Uuid>,
    /// The policy that allowed it just now.
    pub policy_digest: [u8; 32],
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

/// How long a sealed answer is kept for its device, in milliseconds.
pub const ANSWER_KEPT: i64 = 10 * 60 * 1_000;

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
    if let (Err(_), Change::FinishRelease(release, _)) = (&passed, &proposal.change) {
        // The refusal is the outcome of the intent: nothing may be left that could be released later.
        land(view, (release.restore, release.flight), RestoreState::Failed, now);
    }
    passed
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
        Change::OpenRestore(restore) => view.insert_restore((**restore).clone()),
        Change::BeginRelease(release) => return begin(view, tenant, principal, release, now),
        Change::FinishRelease(release, answer) => {
            return finish(view, tenant, principal, release, (std::mem::take(answer), leaf_index, now));
        }
        Change::FetchAgain(release) => return fetch(view, tenant, principal, release, now),
        Change::Acknowledge(release) => {
            let restore = own_restore(view, tenant, principal, release)?;
            match restore.state {
                RestoreState::Released => move_to(view, release.restore, RestoreState::Acknowledged, now),
                RestoreState::Pending | RestoreState::Approved | RestoreState::Releasing => {
                    return Err(Refusal::RestoreNotReleased);
                }
                RestoreState::Acknowledged
                | RestoreState::Failed
                | RestoreState::Expired
                | RestoreState::Revoked
                | RestoreState::Vetoed => return Err(Refusal::RestoreOver),
            }
        }
        Change::AbortRelease { restore, flight, retryable } => {
            let next = if *retryable { RestoreState::Approved } else { RestoreState::Failed };
            if !land(view, (*restore, *flight), next, now) {
                return Err(Refusal::RestoreOver);
            }
        }
        Change::Veto(restore) => veto(view, tenant, principal, *restore, now)?,
        Change::Expire(restore) => expire(view, *restore, now)?,
    }
    Ok(Applied::Done)
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

/// The restore, if it is this device's and the transcript is its own.
fn own_restore<'v>(
    view: &'v View,
    tenant: &str,
    principal: Option<&Principal>,
    release: &ReleaseRequest,
) -> Result<&'v Restore, Refusal> {
    let restore = view.restores.get(&release.restore).filter(|restore| {
        restore.tenant == tenant
            && principal.is_some_and(|principal| restore.device == principal.device && restore.user == principal.user)
    });
    let restore = restore.ok_or(Refusal::RestoreUnknown)?;
    let same = aws_lc_rs::constant_time::verify_slices_are_equal(&restore.transcript, &release.transcript);
    same.map(|()| restore).map_err(|_| Refusal::TranscriptMismatch)
}

fn begin(
    view: &mut View,
    tenant: &str,
    principal: Option<&Principal>,
    release: &ReleaseRequest,
    now: Timestamp,
) -> Result<Applied, Refusal> {
    let restore = own_restore(view, tenant, principal, release)?;
    match restore.state {
        RestoreState::Approved => {}
        RestoreState::Pending => return Err(Refusal::RestorePending),
        // Released since the caller looked: the next try fetches the answer.
        RestoreState::Releasing | RestoreState::Released => return Err(Refusal::RestoreInProgress),
        RestoreState::Acknowledged
        | RestoreState::Failed
        | RestoreState::Expired
        | RestoreState::Revoked
        | RestoreState::Vetoed => return Err(Refusal::RestoreOver),
    }
    if now < restore.not_before {
        return Err(Refusal::RestorePending);
    }
    check_release(view, tenant, restore, release, now)?;
    move_to(view, release.restore, RestoreState::Releasing, now);
    if let Some(restore) = view.restores.get_mut(&release.restore) {
        restore.flight = Some(release.flight);
    }
    Ok(restored(view, release.restore))
}

/// What must hold at every moment at which key material of a restore may move.
fn check_release(
    view: &View,
    tenant: &str,
    restore: &Restore,
    release: &ReleaseRequest,
    now: Timestamp,
) -> Result<(), Refusal> {
    if now >= restore.expires_at {
        return Err(Refusal::RestoreOver);
    }
    if restore.policy_digest != release.policy_digest {
        return Err(Refusal::PolicyChanged);
    }
    release.keks.iter().try_for_each(|kek| check_kek(view, tenant, *kek))
}

fn finish(
    view: &mut View,
    tenant: &str,
    principal: Option<&Principal>,
    release: &ReleaseRequest,
    (answer, leaf_index, now): (Vec<u8>, u64, Timestamp),
) -> Result<Applied, Refusal> {
    let restore = own_restore(view, tenant, principal, release)?;
    if restore.state != RestoreState::Releasing || restore.flight != Some(release.flight) {
        return Err(Refusal::RestoreOver);
    }
    check_release(view, tenant, restore, release, now)?;
    land(view, (release.restore, release.flight), RestoreState::Released, now);
    if let Some(restore) = view.restores.get_mut(&release.restore) {
        restore.answer = Some(answer);
        restore.leaf_index = Some(leaf_index);
        restore.expires_at = now + ANSWER_KEPT;
    }
    Ok(restored(view, release.restore))
}

fn fetch(
    view: &View,
    tenant: &str,
    principal: Option<&Principal>,
    release: &ReleaseRequest,
    now: Timestamp,
) -> Result<Applied, Refusal> {
    let restore = own_restore(view, tenant, principal, release)?;
    if restore.state != RestoreState::Released {
        return Err(Refusal::RestoreOver);
    }
    check_release(view, tenant, restore, release, now)?;
    Ok(restored(view, release.restore))
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
            | RestoreState::Vetoed => false,
        };
        open && now >= restore.expires_at
    });
    if !overdue {
        return Err(Refusal::RestoreOver);
    }
    move_to(view, id, RestoreState::Expired, now);
    Ok(())
}

/// Ends a flight: the intent has its outcome. A restore that was revoked meanwhile stays revoked.
fn land(view: &mut View, (id, flight): (Uuid, Uuid), next: RestoreState, now: Timestamp) -> bool {
    let under_way = view.restores.get_mut(&id).filter(|restore| restore.flight == Some(flight));
    let Some(restore) = under_way else { return false };
    restore.flight = None;
    let next = if restore.state == RestoreState::Releasing { next } else { restore.state };
    move_to(view, id, next, now);
    true
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

fn restored(view: &View, id: Uuid) -> Applied {
    view.restores.get(&id).map_or(Applied::Done, |restore| Applied::Restore(Box::new(restore.clone())))
}
