//! The job itself: page by page, until no record is left; then, where asked for, every record is opened once more.
//!
//! It keeps no place of its own: what is left to do is what the wraps say, so it may be killed at any moment.

use super::record::Trouble;
use super::{event, record, wanted};
use crate::broker::Broker;
use crate::commit::{Proposal, Rare, RewrapStep};
use crate::error::{Error, Refusal};
use crate::kms;
use crate::ops::protect;
use crate::store::records;
use crate::store::rewraps::{self, Rewrap, RewrapState};
use crate::store::wraps;
use audit::event::{Event, Kind, Outcome};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::{counter, gauge};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Records under way at once, at most: enough that many leaves share one write to the disk.
const PARALLEL: usize = 32;
/// Records looked up at once.
const PAGE: i64 = 512;
/// First and longest wait after a passing failure; doubled in between.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often it looks whether a job was begun or resumed.
const LOOK: Duration = Duration::from_secs(1);

/// Runs every rewrap that is to run, also those that an earlier run of the broker left, until `stop`.
pub async fn run_all(broker: Arc<Broker>, stop: CancellationToken) {
    let mut jobs: HashMap<Uuid, JoinHandle<()>> = HashMap::new();
    while !stop.is_cancelled() {
        jobs.retain(|_, job| !job.is_finished());
        match due(&broker).await {
            Ok(due) => {
                for rewrap in due {
                    let job = || tokio::spawn(Job::new(broker.clone(), &rewrap).run(stop.clone()));
                    jobs.entry(rewrap.id).or_insert_with(job);
                }
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "rewraps cannot be looked up"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LOOK) => {}
        }
    }
    for (_, job) in jobs {
        let _ended = job.await;
    }
}

async fn due(broker: &Broker) -> Result<Vec<Rewrap>, Error> {
    Ok(rewraps::running(&mut *broker.store.reader().await?).await?)
}

/// What is done with each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is wrapped anew, where it is not as the tenant wants it.
    Rewrap,
    /// All that opens it is tried.
    Verify,
}

/// Why a job does not go on at once.
enum Obstacle {
    /// It may go better later.
    Passing,
    /// Somebody has to look: the reason code.
    Lasting(&'static str),
}

struct Job {
    broker: Arc<Broker>,
    id: Uuid,
    tenant: String,
    verify: bool,
    rate: Option<DefaultDirectRateLimiter>,
    /// Records under way at once: never more than a second's worth, so that a pause or an order waits for no more.
    most: usize,
    /// As many as the providers have borne lately: what a quota never lets through in time must not be asked again and again.
    at_once: usize,
    stage: Stage,
    /// The last record that was dealt with in this stage; ids are in no order of time.
    after: String,
    /// Records that cannot be opened, and why. They stay as they are.
    failed: BTreeMap<Uuid, &'static str>,
}

impl Job {
    fn new(broker: Arc<Broker>, rewrap: &Rewrap) -> Self {
        let per_second = rewrap.per_second.and_then(NonZeroU32::new);
        let most =
            per_second.and_then(|rate| rate.get().try_into().ok()).map_or(PARALLEL, |rate: usize| rate.min(PARALLEL));
        Self {
            broker,
            id: rewrap.id,
            tenant: rewrap.tenant.clone(),
            verify: rewrap.verify,
            rate: per_second.map(Quota::per_second).map(RateLimiter::direct),
            most,
            at_once: most,
            stage: Stage::Rewrap,
            after: String::new(),
            failed: BTreeMap::new(),
        }
    }

    async fn run(mut self, stop: CancellationToken) {
        let mut wait = RETRY.0;
        while !stop.is_cancelled() {
            match self.go_on(&stop).await {
                Ok(true) => (wait, self.at_once) = (RETRY.0, self.most.min(self.at_once * 2)),
                Ok(false) => return,
                Err(Obstacle::Passing) => {
                    self.at_once = (self.at_once / 2).max(1);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(wait) => {}
                    }
                    wait = (wait * 2).min(RETRY.1);
                }
                Err(Obstacle::Lasting(reason)) => return self.pause(reason).await,
            }
        }
    }

    /// One page. `false` when there is nothing more for this job to do.
    async fn go_on(&mut self, stop: &CancellationToken) -> Result<bool, Obstacle> {
        if !self.is_wanted().await? {
            return Ok(false);
        }
        let page = self.page().await?;
        let Some(last) = page.last().map(Uuid::to_string) else { return self.end_stage().await };
        let due: Vec<Uuid> = page.into_iter().filter(|id| !self.failed.contains_key(id)).collect();
        for some in due.chunks(self.at_once) {
            if stop.is_cancelled() || !self.is_wanted().await? {
                return Ok(true);
            }
            self.deal_with(some).await?;
            self.after = some.last().map(Uuid::to_string).unwrap_or_default();
        }
        self.after = last;
        Ok(true)
    }

    /// The next records of this stage.
    async fn page(&self) -> Result<Vec<Uuid>, Error> {
        let wanted = wanted(&self.broker, &self.tenant).await?;
        let mut db = self.broker.store.reader().await?;
        match self.stage {
            Stage::Rewrap => Ok(wraps::stale(&mut db, &self.tenant, &wanted, (&self.after, PAGE)).await?),
            Stage::Verify => {
                let page = records::page(&mut db, &self.tenant, None, (&self.after, PAGE)).await?;
                Ok(page.iter().map(|record| record.id).collect())
            }
        }
    }

    async fn end_stage(&mut self) -> Result<bool, Obstacle> {
        let left = super::remaining(&self.broker, &self.tenant).await?;
        gauge!("keyfold_rewrap_remaining", "tenant" => self.tenant.clone()).set(left as f64);
        let next = match self.stage {
            Stage::Rewrap if left > self.failed.len() as u64 && !self.after.is_empty() => Stage::Rewrap,
            Stage::Rewrap | Stage::Verify if !self.failed.is_empty() => {
                return Err(Obstacle::Lasting(self.why_failed()));
            }
            Stage::Rewrap if self.verify => Stage::Verify,
            Stage::Rewrap | Stage::Verify => return self.complete().await,
        };
        (self.stage, self.after) = (next, String::new());
        Ok(true)
    }

    /// A reason that all share, above all an order or a key that is gone, is told from records to look at one by one.
    fn why_failed(&self) -> &'static str {
        let mut reasons = self.failed.values().filter(|why| **why != "kek_mismatch");
        match reasons.next() {
            Some(first) if reasons.filter(|why| *why == first).count() + 1 == self.failed.len() => first,
            Some(_) | None => "records_failed",
        }
    }

    async fn deal_with(&mut self, ids: &[Uuid]) -> Result<(), Obstacle> {
        let due = records::openable(&mut *self.broker.store.reader().await.map_err(Error::from)?, ids).await;
        let mut tasks = JoinSet::new();
        for (due, wraps) in due.map_err(Error::from)? {
            // An order holds for a rewrap too: a KEK that was taken away is not asked, and holds up no other record.
            if protect::is_taken_away(&wraps) {
                self.failed.insert(due.id, Refusal::KekInactive.as_str());
                counter!("keyfold_rewrap_records_total", "outcome" => "failed").increment(1);
                continue;
            }
            if let Some(rate) = &self.rate {
                rate.until_ready().await;
            }
            let (broker, kms) = (self.broker.clone(), self.broker.kms.background());
            let (tenant, stage) = (self.tenant.clone(), self.stage);
            tasks.spawn(async move {
                let done = match stage {
                    Stage::Rewrap => record::rewrap((&broker, &kms), &tenant, &due, &wraps).await,
                    Stage::Verify => record::verify((&broker, &kms), &tenant, &due, &wraps).await,
                };
                (due.id, done)
            });
        }
        self.settle(tasks).await
    }

    async fn is_wanted(&self) -> Result<bool, Error> {
        let mut db = self.broker.store.reader().await?;
        let rewrap = rewraps::find(&mut db, &self.tenant, self.id).await?;
        Ok(rewrap.is_some_and(|rewrap| rewrap.state == RewrapState::Running))
    }

    /// Waits for all; one obstacle is enough to hold the job up, but none loses what the others did.
    async fn settle(&mut self, mut tasks: JoinSet<(Uuid, Result<(), Trouble>)>) -> Result<(), Obstacle> {
        let mut obstacle = None;
        while let Some(joined) = tasks.join_next().await {
            let Ok((id, done)) = joined else {
                obstacle = Some(Obstacle::Passing);
                continue;
            };
            let outcome = match done {
                Ok(()) => "ok",
                // Another has wrapped it anew, or the tenant wants others by now: the next look tells.
                Err(Trouble::Other(Error::Refused(Refusal::RecordRewrapped | Refusal::ProtectionChanged))) => "moved",
                Err(Trouble::Other(Error::Provider(providers::Error::Mismatch))) => {
                    self.failed.insert(id, "kek_mismatch");
                    "failed"
                }
                Err(Trouble::Opening(error)) => match Obstacle::from(error) {
                    // What the record is under is gone for good: the others can still be saved.
                    Obstacle::Lasting(why) => {
                        self.failed.insert(id, why);
                        "failed"
                    }
                    Obstacle::Passing => {
                        obstacle = Some(worse(obstacle, Obstacle::Passing));
                        "held_up"
                    }
                },
                Err(Trouble::Other(error)) => {
                    obstacle = Some(worse(obstacle, error.into()));
                    "held_up"
                }
            };
            counter!("keyfold_rewrap_records_total", "outcome" => outcome).increment(1);
        }
        obstacle.map_or(Ok(()), Err)
    }

    /// The gate counts once more: it completes nothing while a record is left.
    async fn complete(&mut self) -> Result<bool, Obstacle> {
        let found = match self.stage {
            Stage::Rewrap => "every record is under the KEKs that the tenant wants",
            Stage::Verify => "every record is under the KEKs that the tenant wants, and each of them opens it",
        };
        let event = event(Kind::RewrapCompleted, self.id).reason(found);
        let proposal = self.proposal(Rare::CompleteRewrap(self.id), event);
        match self.broker.committer.commit_rare(proposal).await {
            Ok(_) => Ok(false),
            Err(Error::Refused(Refusal::RewrapIncomplete)) => {
                (self.stage, self.after) = (Stage::Rewrap, String::new());
                Ok(true)
            }
            // It was paused or stopped meanwhile.
            Err(Error::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn pause(&self, reason: &'static str) {
        if matches!(self.is_wanted().await, Ok(false)) {
            return; // It was paused or stopped meanwhile.
        }
        let mut paused = event(Kind::RewrapPaused, self.id);
        paused.outcome = Outcome::from_static(reason);
        let change = Rare::StepRewrap { id: self.id, step: RewrapStep::Pause, reason: reason.into() };
        tracing::warn!(rewrap = %self.id, reason, failed = self.failed.len(), "a rewrap is paused");
        if let Err(error) = self.broker.committer.commit_rare(self.proposal(change, paused)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a rewrap could not be paused");
        }
    }

    fn proposal(&self, change: Rare, event: Event) -> Proposal<Rare> {
        Proposal::new(&*self.tenant, change, event, Kind::AdminDenied)
    }
}

/// A lasting obstacle says more than a passing one.
fn worse(known: Option<Obstacle>, new: Obstacle) -> Obstacle {
    match known {
        Some(lasting @ Obstacle::Lasting(_)) => lasting,
        Some(Obstacle::Passing) | None => new,
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        tracing::debug!(error = &error as &dyn std::error::Error, "a rewrap is held up");
        match error {
            Error::Provider(providers::Error::Throttled { .. } | providers::Error::Unavailable { .. }) => Self::Passing,
            Error::Provider(error) => Self::Lasting(kms::code(&error)),
            Error::Unfit(unfit) => Error::Provider(unfit.error).into(),
            Error::Refused(refusal) => Self::Lasting(refusal.as_str()),
            // The database, the disk, the log: what the broker itself waits for.
            Error::Store(_)
            | Error::Commit(_)
            | Error::Keys(_)
            | Error::WitnessUnavailable
            | Error::DiskLow
            | Error::Interrupted
            | Error::RateLimited { .. } => Self::Passing,
            // What only requests can be told.
            Error::Malformed(_)
            | Error::CountChanged { .. }
            | Error::Jws(_)
            | Error::Payload(_)
            | Error::UrlMismatch
            | Error::NotFound
            | Error::Unproven
            | Error::BadNonce
            | Error::PolicyText(_) => Self::Lasting("broken"),
        }
    }
}
