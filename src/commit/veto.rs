//! The user stops a restore: by any device of theirs, or by the link that they were mailed.

use super::Principal;
use super::gate::move_to;
use super::view::View;
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::store::restores::RestoreState;
use uuid::Uuid;

/// Ends a restore of the principal's user, or any where nobody is named, unless it was released. A release that is at the
/// provider has not happened: its flight then finds the restore over, and its outcome is a refusal.
pub(super) fn veto(
    view: &mut View,
    tenant: &str,
    principal: Option<&Principal>,
    id: Uuid,
    now: Timestamp,
) -> Result<(), Refusal> {
    let own = view
        .restores
        .get(&id)
        .filter(|restore| restore.tenant == tenant && principal.is_none_or(|principal| restore.user == principal.user));
    match own.ok_or(Refusal::RestoreUnknown)?.state {
        RestoreState::Pending | RestoreState::Approved | RestoreState::Releasing => {
            move_to(view, id, RestoreState::Vetoed, now);
            Ok(())
        }
        RestoreState::Released | RestoreState::Acknowledged => Err(Refusal::RestoreReleased),
        RestoreState::Failed
        | RestoreState::Expired
        | RestoreState::Revoked
        | RestoreState::Vetoed
        | RestoreState::Rejected => Err(Refusal::RestoreOver),
    }
}
