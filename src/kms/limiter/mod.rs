//! Who may call a provider next: permits learnt from its answers, a share for each KEK, the vendor's quota, fair turns,
//! and foreground before background.

mod quota;
mod schedule;
mod turns;
mod window;

#[cfg(test)]
mod tests;

use super::metrics::PermitMeter;
use providers::Error;
use schedule::{Grant, Schedule};
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard};
use std::time::Instant;
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::time::sleep_until;
use turns::Waiter;
use uuid::Uuid;

/// Whether somebody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// A device, or an administrator.
    Foreground,
    /// Nobody: upkeep. Gets what is left, at most half.
    Background,
}

/// Hands out the permits of one provider.
#[derive(Debug)]
pub(super) struct Limiter {
    schedule: StdMutex<Schedule<oneshot::Sender<Permit>>>,
    /// Whoever waits and holds this watches the time for all who wait.
    timekeeper: Mutex<()>,
    changed: Notify,
    meter: PermitMeter,
}

/// One call to the provider, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Arc<Limiter>,
    kek: Uuid,
    priority: Priority,
    started: Instant,
}

impl Waiter for oneshot::Sender<Permit> {
    fn is_gone(&self) -> bool {
        self.is_closed()
    }
}

impl Limiter {
    pub(super) fn new(concurrency: usize, per_second: Option<NonZeroU32>, meter: PermitMeter) -> Arc<Self> {
        let schedule = Schedule::new(concurrency, per_second, Instant::now());
        Arc::new(Self {
            schedule: StdMutex::new(schedule),
            timekeeper: Mutex::default(),
            changed: Notify::new(),
            meter,
        })
    }

    /// Waits for a permit until `deadline`. [`Error::Throttled`] when the vendor's wish or quota is what takes longer,
    /// at once if that is known; [`Error::Unavailable`] when it is other calls.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        kek: Uuid,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Permit, Error> {
        let (waiter, mut granted) = oneshot::channel();
        {
            let (mut schedule, now) = (self.schedule(), Instant::now());
            if let Some(until) = schedule.paused_until(now).filter(|until| deadline <= *until) {
                return Err(Error::Throttled { retry_after: Some(until - now) });
            }
            schedule.join(kek, priority, waiter);
        }
        self.dispatch();
        tokio::select! {
            biased;
            Ok(permit) = &mut granted => Ok(permit),
            never = self.keep_time() => match never {},
            () = sleep_until(deadline.into()) => Err(self.why_late(kek)),
        }
    }

    /// Hands out what there is.
    fn dispatch(self: &Arc<Self>) {
        loop {
            let now = Instant::now();
            let grant = self.schedule().grant(now);
            let Some(Grant { kek, priority, waiter }) = grant else { break };
            // A permit that nobody takes any more comes back by being dropped.
            let _gone = waiter.send(Permit { limiter: self.clone(), kek, priority, started: now });
        }
        let (in_use, allowed) = self.schedule().permits();
        self.meter.show(in_use, allowed);
        self.changed.notify_one();
    }

    /// Goes on for ever: one of those who wait looks again whenever the time has come.
    async fn keep_time(self: &Arc<Self>) -> Infallible {
        let _turn = self.timekeeper.lock().await;
        loop {
            let next_turn = self.schedule().next_turn(Instant::now());
            match next_turn {
                Some(at) => {
                    sleep_until(at.into()).await;
                    self.dispatch();
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn why_late(&self, kek: Uuid) -> Error {
        let (schedule, now) = (self.schedule(), Instant::now());
        if schedule.is_full_for(kek) {
            return Error::Unavailable { retry_after: None };
        }
        Error::Throttled { retry_after: schedule.held_until(now).map(|until| until - now) }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule<oneshot::Sender<Permit>>> {
        self.schedule.lock().expect("invariant: nothing panics while holding this lock")
    }
}

impl Permit {
    /// What the provider said decides how many may call.
    pub(super) fn settle<T>(self, done: &Result<T, Error>) {
        let (mut schedule, now) = (self.limiter.schedule(), Instant::now());
        match done {
            Err(Error::Throttled { retry_after }) => schedule.throttled(self.started, *retry_after, now),
            Ok(_) | Err(Error::Mismatch | Error::NoSuchKey | Error::KeyUnusable(_) | Error::Refused) => {
                schedule.passed(now);
            }
            Err(Error::Unavailable { .. } | Error::Broken(_)) => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.schedule().give_back(self.kek, self.priority);
        self.limiter.dispatch();
    }
}
