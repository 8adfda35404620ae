//! The rare changes of rewraps.

use super::gate::Applied;
use super::rare::{Passed, RewrapStep};
use crate::clock::Timestamp;
use crate::error::Refusal;
use crate::store::rewraps::{self, Rewrap, RewrapState};
use crate::store::{Connection, StoreError, tenants, wraps};
use uuid::Uuid;

/// One at a time: two would wrap the same records.
pub(super) async fn start(db: &mut Connection, rewrap: &Rewrap) -> Result<Passed, StoreError> {
    if rewraps::open_of(db, &rewrap.tenant).await?.is_some() {
        return Ok(Err(Refusal::RewrapOpen));
    }
    rewraps::insert(db, rewrap).await?;
    Ok(Ok(Applied::Done))
}

pub(super) async fn step(
    db: &mut Connection,
    tenant: &str,
    (id, step): (Uuid, RewrapStep),
    (reason, now): (&str, Timestamp),
) -> Result<Passed, StoreError> {
    let Some(rewrap) = rewraps::find(db, tenant, id).await? else { return Ok(Err(Refusal::Unknown)) };
    let next = match (step, rewrap.state) {
        (RewrapStep::Pause, RewrapState::Running) => RewrapState::Paused,
        (RewrapStep::Resume, RewrapState::Paused) => RewrapState::Running,
        (RewrapStep::Stop, RewrapState::Running | RewrapState::Paused) => RewrapState::Stopped,
        (RewrapStep::Pause | RewrapStep::Resume | RewrapStep::Stop, _) => return Ok(Err(Refusal::RewrapOver)),
    };
    rewraps::move_to(db, id, (rewrap.state, next), (reason, now)).await?;
    Ok(Ok(Applied::Done))
}

/// Says that no record is left only where that is so: the count and the claim are one transaction.
pub(super) async fn complete(
    db: &mut Connection,
    tenant: &str,
    id: Uuid,
    now: Timestamp,
) -> Result<Passed, StoreError> {
    let protection = tenants::find(db, tenant).await?.and_then(|tenant| tenant.protection);
    let Some(protection) = protection else { return Ok(Err(Refusal::KekMissing)) };
    if wraps::remaining(db, tenant, protection).await? > 0 {
        return Ok(Err(Refusal::RewrapIncomplete));
    }
    if rewraps::move_to(db, id, (RewrapState::Running, RewrapState::Completed), ("", now)).await? {
        Ok(Ok(Applied::Done))
    } else {
        Ok(Err(Refusal::RewrapOver))
    }
}
