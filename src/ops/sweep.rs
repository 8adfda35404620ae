//! What time does: restores run out, interrupted releases are given back, logs prove that they are alive.

use crate::broker::Broker;
use crate::clock::{Timestamp, hour_of};
use crate::commit::{Change, CommitError, Proposal, Upkeep};
use crate::error::{Error, Refusal};
use crate::nonce::LIFETIME;
use crate::ops::restore::told;
use crate::ops::{locks, policies};
use crate::store::broker_keys::Purpose;
use crate::store::log;
use crate::store::restores::{self, Restore, RestoreState};
use audit::event::{Event, Kind, Outcome};
use notices::Notice;

/// After this long without an outcome a release is taken for dead, in milliseconds.
const RELEASE_DEAD_AFTER: i64 = 60_000;
/// A log that says nothing for this long says that it is alive, in milliseconds.
const HEARTBEAT: i64 = 15 * 60 * 1_000;
/// How many events there were is known for this long, in hours.
const COUNTS_KEPT: i64 = 31 * 24;
/// An ingress key is handed out for this long, in milliseconds.
const INGRESS_LIFETIME: i64 = 30 * 24 * 3_600 * 1_000;

/// Before the first request: every release under way was interrupted when the last run ended.
pub async fn recover(broker: &Broker) -> Result<(), Error> {
    let now = broker.clock.now();
    give_back_releases(broker, now + 1).await
}

/// Once a minute or so.
pub async fn sweep(broker: &Broker) -> Result<(), Error> {
    let now = broker.clock.now();
    give_back_releases(broker, now - RELEASE_DEAD_AFTER).await?;
    for state in [RestoreState::Pending, RestoreState::Approved, RestoreState::Released] {
        for restore in restores::expired(&mut *broker.store.reader().await?, state, now).await? {
            expire(broker, restore).await?;
        }
    }
    policies::take_due(broker).await?;
    locks::tell(broker).await?;
    broker.committer.upkeep(Upkeep::ForgetBudgets(now)).await?;
    forget_nonces(broker).await?;
    broker.committer.upkeep(Upkeep::ForgetCounts(hour_of(now) - COUNTS_KEPT)).await?;
    broker.limits.forget_idle();
    keep_logs_alive(broker, now).await
}

/// Spent nonces go when nobody can use them again: not a request that still waits for its turn, and not after a restart
/// with an earlier clock, which goes back no further than the log.
async fn forget_nonces(broker: &Broker) -> Result<(), Error> {
    let known = log::latest_change(&mut *broker.store.reader().await?).await?;
    Ok(broker.committer.upkeep(Upkeep::ForgetNonces(known - LIFETIME)).await?)
}

/// An interrupted release has released nothing: it gets its outcome, and the device may ask again.
async fn give_back_releases(broker: &Broker, unchanged_since: Timestamp) -> Result<(), Error> {
    let in_flight = restores::in_flight_since(&mut *broker.store.reader().await?, unchanged_since).await?;
    for restore in in_flight {
        let event = Event::new(Kind::RestoreFailed, Outcome::from_static("interrupted"));
        let Some(flight) = restore.flight else { continue };
        let change = Change::AbortRelease { restore: restore.id, flight, retryable: true };
        passed_by(broker.committer.commit(proposal(&restore, change, event)).await)?;
    }
    Ok(())
}

/// Nobody came in time. For a released restore it means that no acknowledgement came.
async fn expire(broker: &Broker, restore: Restore) -> Result<(), Error> {
    let released = restore.state == RestoreState::Released;
    let outcome = if released { const { Outcome::from_static("not_acknowledged") } } else { Outcome::OK };
    let proposal = proposal(&restore, Change::Expire(restore.id), Event::new(Kind::RestoreExpired, outcome));
    // Whose keys went out was told so.
    let told = if released {
        Vec::new()
    } else {
        told(broker, &restore, |restore| Notice::RestoreExpired { restore }).await?
    };
    passed_by(broker.committer.commit(proposal.telling(told)).await)
}

/// Not in the way of the others: a restore that moved on between the look and the change, and a log that is frozen.
fn passed_by<T>(result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Ok(_)
        | Err(
            Error::Refused(Refusal::RestoreOver)
            | Error::Commit(CommitError::LogInconsistent { .. } | CommitError::LogFrozen { .. }),
        ) => Ok(()),
        Err(error) => Err(error),
    }
}

fn proposal(restore: &Restore, change: Change, event: Event) -> Proposal<Change> {
    let event = event.correlation(restore.id).device(restore.device.to_string()).user(restore.user.clone());
    let event = event.policy_digest(restore.policy_digest);
    Proposal::new(&*restore.tenant, change, event, Kind::RestoreFetchDenied).about(&*restore.user)
}

async fn keep_logs_alive(broker: &Broker, now: Timestamp) -> Result<(), Error> {
    let heads = log::heads(&mut *broker.store.reader().await?).await?;
    let step_back = broker.clock.take_step_back();
    if let Some(ms) = step_back {
        tracing::warn!(ms, "the system clock went back; the broker goes on from the latest time it knows");
    }
    for head in heads {
        if now - head.changed_at >= HEARTBEAT || step_back.is_some() {
            heartbeat(broker, head.tenant.clone(), step_back).await?;
        }
        rotate_ingress(broker, &head.tenant, now).await?;
    }
    Ok(())
}

async fn heartbeat(broker: &Broker, tenant: String, step_back: Option<i64>) -> Result<(), Error> {
    let outcome = if step_back.is_some() { Outcome::from_static("clock_went_back") } else { Outcome::OK };
    let event = Event::new(Kind::LogHeartbeat, outcome);
    let proposal = Proposal::new(tenant, Change::Remark, event, Kind::LogHeartbeat);
    passed_by(broker.committer.commit(proposal).await)
}

/// A new ingress key every 30 days; the one before it opens for another day, then it is destroyed.
async fn rotate_ingress(broker: &Broker, tenant: &str, now: Timestamp) -> Result<(), Error> {
    let keys = broker.keys.of_tenant(tenant).await?;
    let retired = keys.retired(now);
    let fresh = keys.ingress.first().is_some_and(|newest| now - newest.created_at < INGRESS_LIFETIME);
    if fresh && retired.is_empty() {
        return Ok(());
    }
    if !fresh {
        broker.committer.upkeep(Upkeep::StoreKey(broker.keys.make(tenant, Purpose::Ingress, now))).await?;
    }
    for id in retired {
        broker.committer.upkeep(Upkeep::DestroyKey(id)).await?;
    }
    broker.keys.forget_tenant(tenant);
    Ok(())
}
