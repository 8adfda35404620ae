//! A device asks for its user's records: asked, released exactly once, acknowledged.

mod approvals;
mod asked;
pub mod decide;
mod login;
mod open;
mod release;
mod told;
pub mod veto;

pub use approvals::{Counted, Weighed};
pub use asked::Asked;
pub use open::open;
pub use release::release;
pub use told::{address_of_user, page, told};

use super::Attempt;
use super::protect::needed_keks;
use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::commit::{Approvers, Change, ReleaseRequest, WRONG_CODES, check_standing};
use crate::error::{Error, Refusal};
use crate::store::records::{RecordSummary, Restorable};
use crate::store::restores::{self, Restore, RestoreState};
use crate::store::{Connection, StoreError};
use approvals::weigh;
use audit::event::{Event, Kind};
use protocol::encoding::Base64Url;
use protocol::messages::{self, Acknowledge, Needs, RecordEntry, RestoreOpened};
use protocol::names;
use std::collections::BTreeSet;
use uuid::Uuid;

/// How a restore of this device stands.
pub async fn status(broker: &Broker, caller: &DeviceCaller, id: Uuid) -> Result<RestoreOpened, Error> {
    check_standing(&caller.device, &caller.membership)?;
    let mut db = broker.store.reader().await?;
    let restore = own(&mut db, caller, id).await?.ok_or(Refusal::RestoreUnknown)?;
    let asking = (caller.device.clone(), caller.membership);
    let asked = Asked::with(broker, &mut db, caller.rules()?.clone(), (restore, asking)).await?;
    let weighed = weigh(broker, &mut db, &asked).await?;
    let waits = Waits { allowed: weighed.decision.allowed, missing: weighed.missing };
    opened(&asked.restore, &asked.records, waits)
}

/// The device has its keys: the sealed answer is forgotten, and the restore is over.
pub async fn acknowledge(broker: &Broker, caller: &DeviceCaller, id: Uuid, ack: &Acknowledge) -> Result<(), Error> {
    if is_acknowledged(broker, caller, id, ack).await? {
        return Ok(()); // The answer to the first one got lost on the way.
    }
    let attempt = Attempt { broker, caller, refused_as: Kind::RestoreDenied };
    let event = restore_event(&attempt, Kind::RestoreAcknowledged, id);
    let request = request(None, id, *ack.transcript.0.as_bytes(), &[]);
    broker.committer.commit(attempt.proposal(Change::Acknowledge(request), event)).await?;
    Ok(())
}

async fn is_acknowledged(broker: &Broker, caller: &DeviceCaller, id: Uuid, ack: &Acknowledge) -> Result<bool, Error> {
    let restore = restores::find(&mut *broker.store.reader().await?, id).await?;
    Ok(restore.is_some_and(|restore| {
        restore.device == caller.device.id
            && restore.state == RestoreState::Acknowledged
            && restore.transcript == *ack.transcript.0.as_bytes()
    }))
}

/// The ids, as events name them.
fn ids(records: impl Iterator<Item = Uuid>) -> String {
    records.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
}

fn restore_event(attempt: &Attempt<'_>, kind: Kind, restore: Uuid) -> Event {
    attempt.event(kind).correlation(restore)
}

fn request(policy: Option<u64>, restore: Uuid, transcript: [u8; 32], records: &[Restorable]) -> ReleaseRequest {
    let keks: BTreeSet<Uuid> = records.iter().flat_map(|restorable| needed_keks(&restorable.wraps)).collect();
    let keks = keks.into_iter().collect();
    ReleaseRequest { restore, flight: Uuid::new_v4(), transcript, keks, policy, approvers: Approvers::default() }
}

/// This device's restore; nobody else's.
async fn own(db: &mut Connection, caller: &DeviceCaller, id: Uuid) -> Result<Option<Restore>, StoreError> {
    let device = &caller.device;
    let found = restores::find(db, id).await?;
    Ok(found.filter(|restore| restore.device == device.id && restore.tenant == device.tenant))
}

/// What a restore waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    allowed: bool,
    missing: policies::Needs,
}

fn opened(
    restore: &Restore,
    records: &[(RecordSummary, bool)],
    Waits { allowed, missing }: Waits,
) -> Result<RestoreOpened, Error> {
    let devices_count = missing.own_device || missing.own_device_counts;
    Ok(RestoreOpened {
        restore: restore.id,
        state: state(seen(restore.state, allowed && missing.nothing())),
        transcript: Base64Url(restore.transcript.into()),
        records: records.iter().map(|(record, _)| entry(record)).collect::<Result<_, _>>()?,
        policy: Base64Url(restore.policy_digest),
        needs: Needs { approvals: missing.approvals, own_device: missing.own_device, step_up: false },
        match_code: Some(restore.match_code).filter(|_| devices_count && restore.wrong_codes < WRONG_CODES),
        not_before: seconds(restore.not_before),
        expires_at: seconds(restore.expires_at),
    })
}

/// How a restore stands for those who look: what is stored of an open one is no more than what was so when it changed.
pub fn seen(state: RestoreState, ready: bool) -> RestoreState {
    match (state, ready) {
        (RestoreState::Pending | RestoreState::Approved, true) => RestoreState::Approved,
        (RestoreState::Pending | RestoreState::Approved, false) => RestoreState::Pending,
        (state, _) => state,
    }
}

pub(super) fn entry(record: &RecordSummary) -> Result<RecordEntry, Error> {
    Ok(RecordEntry {
        record: record.id,
        kind: kind(&record.kind)?,
        generation: record.generation,
        suite: record.suite,
        device: record.device,
        wrapped_at: seconds(record.created_at),
    })
}

/// The stored name in the protocol's type; it was checked when it was stored.
pub(super) fn kind(kind: &str) -> Result<names::Kind, Error> {
    kind.parse().map_err(|_| Error::Store(crate::store::StoreError::Corrupt { column: "kind" }))
}

/// Unix milliseconds of the request: its id was made then.
pub fn asked_at(restore: &Restore) -> i64 {
    let (seconds, nanoseconds) = restore.id.get_timestamp().map_or((0, 0), |timestamp| timestamp.to_unix());
    i64::try_from(seconds).unwrap_or(i64::MAX / 2_000) * 1_000 + i64::from(nanoseconds / 1_000_000)
}

/// Stored milliseconds as the seconds of messages.
pub(super) fn seconds(milliseconds: i64) -> u64 {
    milliseconds.unsigned_abs() / 1_000
}

pub(super) fn state(state: RestoreState) -> messages::RestoreState {
    match state {
        RestoreState::Pending => messages::RestoreState::Pending,
        RestoreState::Approved => messages::RestoreState::Approved,
        RestoreState::Releasing => messages::RestoreState::Releasing,
        RestoreState::Released => messages::RestoreState::Released,
        RestoreState::Acknowledged => messages::RestoreState::Acknowledged,
        RestoreState::Failed => messages::RestoreState::Failed,
        RestoreState::Expired => messages::RestoreState::Expired,
        RestoreState::Revoked => messages::RestoreState::Revoked,
        RestoreState::Vetoed => messages::RestoreState::Vetoed,
        RestoreState::Rejected => messages::RestoreState::Rejected,
    }
}
