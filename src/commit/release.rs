//! The gate of one release: intent and outcome, fetching again, acknowledgement.

use super::Principal;
use super::approvals::{Approvers, check_approvers};
use super::gate::{Applied, check_kek, move_to, restored};
use super::view::View;
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::store::restores::{Restore, RestoreState};
use uuid::Uuid;

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
    /// The version of the tenant's policies that allowed it just now; `None`: the defaults.
    pub policy: Option<u64>,
    /// Those whose approvals it needs, as far as it needs any.
    pub approvers: Approvers,
}

/// How long a sealed answer is kept for its device, in milliseconds.
pub const ANSWER_KEPT: i64 = 10 * 60 * 1_000;

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

pub(super) fn begin(
    view: &mut View,
    tenant: &str,
    principal: Option<&Principal>,
    release: &ReleaseRequest,
    now: Timestamp,
) -> Result<Applied, Refusal> {
    let restore = own_restore(view, tenant, principal, release)?;
    match restore.state {
        // Which of the two is for people to read: who approved was verified, and is in the request.
        RestoreState::Pending | RestoreState::Approved => {}
        // Released since the caller looked: the next try fetches the answer.
        RestoreState::Releasing | RestoreState::Released => return Err(Refusal::RestoreInProgress),
        RestoreState::Acknowledged
        | RestoreState::Failed
        | RestoreState::Expired
        | RestoreState::Revoked
        | RestoreState::Vetoed
        | RestoreState::Rejected => return Err(Refusal::RestoreOver),
    }
    if now < restore.not_before {
        return Err(Refusal::RestorePending);
    }
    check_release(view, restore, release, now)?;
    check_approvers(view, restore, &release.approvers)?;
    move_to(view, release.restore, RestoreState::Releasing, now);
    if let Some(restore) = view.restores.get_mut(&release.restore) {
        restore.flight = Some(release.flight);
    }
    Ok(restored(view, release.restore))
}

/// What must hold at every moment at which key material of a restore may move.
fn check_release(view: &View, restore: &Restore, release: &ReleaseRequest, now: Timestamp) -> Result<(), Refusal> {
    if now >= restore.expires_at {
        return Err(Refusal::RestoreOver);
    }
    let (_, membership) = view.devices.get(&restore.device).ok_or(Refusal::DeviceInactive)?;
    view.taken.check_unlocked(&restore.holder(), membership)?;
    if membership.policy != release.policy {
        return Err(Refusal::PolicyChanged);
    }
    release.keks.iter().try_for_each(|kek| check_kek(view, &restore.tenant, *kek))
}

pub(super) fn finish(
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
    check_release(view, restore, release, now)?;
    check_approvers(view, restore, &release.approvers)?;
    land(view, (release.restore, release.flight), RestoreState::Released, now);
    if let Some(restore) = view.restores.get_mut(&release.restore) {
        restore.answer = Some(answer);
        restore.leaf_index = Some(leaf_index);
        restore.expires_at = now + ANSWER_KEPT;
    }
    Ok(restored(view, release.restore))
}

pub(super) fn fetch(
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
    check_release(view, restore, release, now)?;
    Ok(restored(view, release.restore))
}

/// Ends a flight: the intent has its outcome. A restore that was revoked meanwhile stays revoked.
pub(super) fn land(view: &mut View, (id, flight): (Uuid, Uuid), next: RestoreState, now: Timestamp) -> bool {
    let under_way = view.restores.get_mut(&id).filter(|restore| restore.flight == Some(flight));
    let Some(restore) = under_way else { return false };
    restore.flight = None;
    let next = if restore.state == RestoreState::Releasing { next } else { restore.state };
    move_to(view, id, next, now);
    true
}

/// What becomes of a restore whose release was refused at its end: the refusal is the outcome of the intent. Where only an
/// approval is gone, others may still approve, and a lock may be lifted; else nothing may be left that could be released
/// later.
pub(super) fn land_refused(view: &mut View, release: &ReleaseRequest, refusal: Refusal, now: Timestamp) {
    let waits = matches!(refusal, Refusal::RestorePending | Refusal::UserLocked | Refusal::TenantFrozen);
    let next = if waits { RestoreState::Pending } else { RestoreState::Failed };
    land(view, (release.restore, release.flight), next, now);
}

/// The device has what was released.
pub(super) fn acknowledge(
    view: &mut View,
    tenant: &str,
    principal: Option<&Principal>,
    release: &ReleaseRequest,
    now: Timestamp,
) -> Result<(), Refusal> {
    match own_restore(view, tenant, principal, release)?.state {
        RestoreState::Released => {
            move_to(view, release.restore, RestoreState::Acknowledged, now);
            Ok(())
        }
        RestoreState::Pending | RestoreState::Approved | RestoreState::Releasing => Err(Refusal::RestoreNotReleased),
        RestoreState::Acknowledged
        | RestoreState::Failed
        | RestoreState::Expired
        | RestoreState::Revoked
        | RestoreState::Vetoed
        | RestoreState::Rejected => Err(Refusal::RestoreOver),
    }
}
