//! One provider, guarded: each call waits for its permit, has a deadline, is tried again, and is held against its KEK.

use super::breaker::{Breaker, Trial};
use super::budget::Budget;
use super::connect::Room;
use super::limiter::{Limiter, Priority};
use super::metrics::{self, CallMeter, Operation, PermitMeter};
use super::outcome;
use backon::{ExponentialBuilder, Retryable};
use providers::Error;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;
use tracing::warn;
use uuid::Uuid;

/// A provider and what is known about it.
#[derive(Debug)]
pub(super) struct Guard {
    name: String,
    pub(super) room: Room,
    limiter: Arc<Limiter>,
    keks: Mutex<HashMap<Uuid, Arc<KekHealth>>>,
}

/// What is known about one KEK.
#[derive(Debug)]
pub(super) struct KekHealth {
    pub(super) breaker: Breaker,
    pub(super) budget: Budget,
}

impl KekHealth {
    /// Counts one call to wrap, and says so when the budget nears its end.
    pub(super) fn spend_wrap(&self, kek: Uuid) {
        if self.budget.spend() {
            warn!(%kek, "the wrap budget of a KEK nears its end: rotate it");
        }
        metrics::budget(kek, self.budget.used());
    }
}

/// What is called, for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) kek: Uuid,
    pub(super) operation: Operation,
    pub(super) priority: Priority,
}

/// Why there is no result, and whether the provider was asked at all.
#[derive(Debug)]
enum Failure {
    Unasked(Error),
    Asked(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        let (Self::Unasked(error) | Self::Asked(error)) = self;
        error
    }
}

impl Guard {
    pub(super) fn new(name: String, room: Room) -> Self {
        let limiter = Limiter::new(room.limits.concurrency, room.limits.per_second, PermitMeter::of(&name));
        Self { name, room, limiter, keks: Mutex::default() }
    }

    pub(super) fn kek(&self, id: Uuid) -> Arc<KekHealth> {
        let fresh = || KekHealth { breaker: Breaker::default(), budget: Budget::new(self.room.limits.wrap_budget) };
        let mut keks = self.keks.lock().expect("invariant: nothing panics while holding this lock");
        keks.entry(id).or_insert_with(|| Arc::new(fresh())).clone()
    }

    /// Calls the provider until it answers, or the deadline has come.
    pub(super) async fn call<'a, T, F>(&'a self, call: Call, ask: impl FnMut(&'a Room) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let meter = CallMeter::start(call.kek, call.operation);
        let done = self.unmeasured(call, ask).await;
        meter.finish(outcome(&done));
        done
    }

    /// Calls the provider once, for a key that is no KEK yet.
    pub(super) async fn once<T>(
        &self,
        operation: Operation,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let call = Call { kek: Uuid::nil(), operation, priority: Priority::Foreground };
        let deadline = Instant::now() + self.room.limits.deadline;
        self.attempt(call, deadline, ask).await.map_err(Failure::into_error)
    }

    async fn unmeasured<'a, T, F>(&'a self, call: Call, ask: impl FnMut(&'a Room) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let kek = self.kek(call.kek);
        let refused = |wait| Error::Unavailable { retry_after: Some(wait) };
        let trial = kek.breaker.admit(Instant::now()).map_err(refused)?;
        let done = self.attempts(call, ask).await;
        judge(trial, call.operation, &done);
        metrics::circuit(call.kek, kek.breaker.is_open());
        done.map_err(Failure::into_error)
    }

    async fn attempts<'a, T, F>(&'a self, call: Call, mut ask: impl FnMut(&'a Room) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + self.room.limits.deadline;
        let backoff =
            ExponentialBuilder::default().with_min_delay(Duration::from_millis(50)).with_max_times(3).with_jitter();
        // Who is asked to wait for longer than there is time, is told so instead of made to wait.
        let in_time = |wait: &Duration| Instant::now() + *wait < deadline;
        let wait = |failure: &Failure, ours| as_asked(failure, ours).filter(in_time);
        (|| self.attempt(call, deadline, ask(&self.room))).retry(backoff).when(is_passing).adjust(wait).await
    }

    async fn attempt<T>(
        &self,
        call: Call,
        deadline: Instant,
        ask: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let waiting = Instant::now();
        let permit = self.limiter.acquire(call.kek, call.priority, deadline).await;
        metrics::wait(&self.name, call.priority, waiting.elapsed());
        let permit = permit.map_err(Failure::Unasked)?;
        let started = Instant::now();
        let done = timeout_at(deadline.into(), ask).await.unwrap_or(Err(Error::Unavailable { retry_after: None }));
        permit.settle(&done);
        metrics::attempt(&self.name, call.operation, outcome(&done), started.elapsed());
        done.map_err(Failure::Asked)
    }
}

/// Holds a call against its KEK. One that never went out says nothing about it.
fn judge<T>(trial: Trial<'_>, operation: Operation, done: &Result<T, Failure>) {
    match done {
        Err(Failure::Unasked(_)) => {}
        // Two keys took part, and only one may be dead: releases must not stop for the other.
        Err(Failure::Asked(Error::Unavailable { .. } | Error::Broken(_))) if operation == Operation::Rewrap => {}
        Err(Failure::Asked(Error::Unavailable { .. } | Error::Broken(_))) => trial.failed(Instant::now()),
        Ok(_) | Err(Failure::Asked(_)) => trial.answered(),
    }
}

/// What may go better a moment later.
fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Asked(Error::Throttled { .. } | Error::Unavailable { .. }) => true,
        Failure::Asked(
            Error::Mismatch | Error::NoSuchKey | Error::KeyUnusable(_) | Error::Refused | Error::Broken(_),
        )
        // Whoever did not get a permit has waited for as long as there was.
        | Failure::Unasked(_) => false,
    }
}

/// The vendor's own wish comes before our back-off.
fn as_asked(failure: &Failure, ours: Option<Duration>) -> Option<Duration> {
    match failure {
        Failure::Asked(Error::Throttled { retry_after } | Error::Unavailable { retry_after }) => {
            ours.map(|ours| retry_after.unwrap_or(ours).max(ours))
        }
        Failure::Asked(_) | Failure::Unasked(_) => ours,
    }
}
