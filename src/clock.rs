//! The only `now`. It never runs backwards: nonces and deadlines hang on it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds.
pub type Timestamp = i64;

/// How far the system clock may step back unremarked, in milliseconds.
const TOLERANCE: i64 = 1_000;

/// A clock that holds still rather than run backwards, also over a restart.
#[derive(Debug)]
pub struct Clock {
    latest: AtomicI64,
    steps_back: AtomicI64,
}

impl Clock {
    /// Starts no earlier than `floor`, the latest time that the database has seen.
    #[must_use]
    pub fn starting_at(floor: Timestamp) -> Self {
        Self { latest: AtomicI64::new(floor), steps_back: AtomicI64::new(0) }
    }

    /// Unix milliseconds, never less than it has said before.
    pub fn now(&self) -> Timestamp {
        let system = system_time();
        let latest = self.latest.fetch_max(system, Ordering::Relaxed);
        if system + TOLERANCE < latest {
            self.steps_back.fetch_max(latest - system, Ordering::Relaxed);
        }
        system.max(latest)
    }

    /// The widest step back since the last call, in milliseconds: recorded, not trusted.
    pub fn take_step_back(&self) -> Option<i64> {
        Some(self.steps_back.swap(0, Ordering::Relaxed)).filter(|step| *step > 0)
    }
}

fn system_time() -> Timestamp {
    // INVARIANT: a system clock before 1970 reads as 1970; the floor then holds the clock still.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Clock, system_time};

    #[test]
    fn holds_still_when_the_system_clock_is_behind_and_says_so() {
        let ahead = system_time() + 3_600_000;
        let clock = Clock::starting_at(ahead);
        assert_eq!((clock.now(), clock.now()), (ahead, ahead));
        assert!(clock.take_step_back().is_some_and(|step| step > 3_500_000));
        assert_eq!(clock.take_step_back(), None);
    }
}
