//! The gate of decisions on a restore, and of those who made them, at its release.

use super::Principal;
use super::gate::{check_standing, move_to};
use super::view::View;
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::store::approvals::Approval;
use crate::store::restores::{Restore, RestoreState};
use protocol::approval::{Decision, MatchCode};
use uuid::Uuid;

/// So many wrong match codes end the approving by devices of one restore.
pub const WRONG_CODES: u32 = 3;

/// A decision whose signature was verified.
#[derive(Debug, Clone)]
pub struct Decide {
    /// By whom, and what.
    pub approval: Approval,
    /// What must still hold of who made it.
    pub proof: Proof,
    /// Whether the restore waits for nobody any more, once this one counts.
    pub enough: bool,
}

/// What must still hold of who decides.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    /// The person's document is the one that was looked at.
    Version(u64),
    /// The device is another of the restore's user, who has typed this there.
    MatchCode(MatchCode),
}

/// Those whose approvals let a restore through, as they were when their signatures were verified.
#[derive(Debug, Clone, Default)]
pub struct Approvers {
    /// People, each with the version of their document.
    pub admins: Vec<(Uuid, u64)>,
    /// Other devices of the restore's user.
    pub devices: Vec<Uuid>,
}

/// Keeps a decision. A rejection ends the restore at once, also one whose release is under way.
pub(super) fn decide(
    view: &mut View,
    tenant: &str,
    principal: Option<&Principal>,
    decide: &Decide,
    now: Timestamp,
) -> Result<(), Refusal> {
    let approval = &decide.approval;
    let restore = view.restores.get(&approval.restore).filter(|restore| restore.tenant == tenant);
    let restore = restore.ok_or(Refusal::RestoreUnknown)?;
    check_open(restore, now)?;
    let (id, state) = (restore.id, restore.state);
    let approver = approval.approver.id();
    if approval.decision == Decision::Approve && view.approved.contains(&(id, approver)) {
        return Err(Refusal::AlreadyApproved);
    }
    match decide.proof {
        Proof::Version(version) if view.admin_versions.get(&approver) != Some(&version) => {
            return Err(Refusal::AdminChanged);
        }
        Proof::Version(_) => {}
        Proof::MatchCode(code) => {
            check_other_device(view, restore, principal)?;
            compare(view, id, code)?;
        }
    }
    view.keep_approval(approval.clone());
    match approval.decision {
        Decision::Approve if decide.enough && state == RestoreState::Pending => {
            move_to(view, id, RestoreState::Approved, now);
        }
        Decision::Approve => {}
        Decision::Reject => move_to(view, id, RestoreState::Rejected, now),
    }
    Ok(())
}

fn check_open(restore: &Restore, now: Timestamp) -> Result<(), Refusal> {
    match restore.state {
        RestoreState::Released | RestoreState::Acknowledged => Err(Refusal::RestoreReleased),
        state if state.is_open() && now < restore.expires_at => Ok(()),
        RestoreState::Pending
        | RestoreState::Approved
        | RestoreState::Releasing
        | RestoreState::Failed
        | RestoreState::Expired
        | RestoreState::Revoked
        | RestoreState::Vetoed
        | RestoreState::Rejected => Err(Refusal::RestoreOver),
    }
}

/// The principal is active: the gate has looked.
fn check_other_device(view: &View, restore: &Restore, principal: Option<&Principal>) -> Result<(), Refusal> {
    let device = principal.map(|principal| principal.device);
    if device == Some(restore.device) {
        return Err(Refusal::OwnRestore);
    }
    let is_own = device.is_some_and(|device| is_active_device_of(view, restore, device));
    if is_own { Ok(()) } else { Err(Refusal::RestoreUnknown) }
}

/// Counts what is wrong in the row of the restore, so that neither a restart nor many at once give more tries.
fn compare(view: &mut View, id: Uuid, code: MatchCode) -> Result<(), Refusal> {
    let Some(restore) = view.restores.get_mut(&id) else { return Err(Refusal::RestoreUnknown) };
    if restore.wrong_codes >= WRONG_CODES {
        return Err(Refusal::MatchCodesSpent);
    }
    if restore.match_code == code {
        return Ok(());
    }
    restore.wrong_codes += 1;
    view.changed_restores.insert(id);
    Err(Refusal::MatchCodeWrong)
}

/// Whether they all still are who they were: any change of an administrator, and any loss of a device, makes the restore
/// wait until their signatures were looked at again.
pub(super) fn check_approvers(view: &View, restore: &Restore, approvers: &Approvers) -> Result<(), Refusal> {
    let same = |(id, version): &(Uuid, u64)| view.admin_versions.get(id) == Some(version);
    let own = |id: &Uuid| *id != restore.device && is_active_device_of(view, restore, *id);
    let hold = approvers.admins.iter().all(same) && approvers.devices.iter().all(own);
    if hold { Ok(()) } else { Err(Refusal::RestorePending) }
}

fn is_active_device_of(view: &View, restore: &Restore, id: Uuid) -> bool {
    view.devices.get(&id).is_some_and(|(device, membership)| {
        let own = device.tenant == restore.tenant && device.user == restore.user;
        own && check_standing(device, membership).is_ok()
    })
}
