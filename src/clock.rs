//! The only `now`. It never runs backwards, and never stands still: nonces and deadlines hang on it.

use std::sync::{Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Unix milliseconds.
pub type Timestamp = i64;

const HOUR: Timestamp = 3_600_000;

/// The hour that this time is in, counted since 1970.
#[must_use]
pub fn hour_of(time: Timestamp) -> i64 {
    time.div_euclid(HOUR)
}

/// When this hour begins.
#[must_use]
pub fn hour_begins(hour: i64) -> Timestamp {
    hour.saturating_mul(HOUR)
}

/// How far the system clock may step back unremarked, in milliseconds.
const TOLERANCE: i64 = 1_000;

/// A clock that goes on by the machine's stopwatch when the system clock steps back, also over a restart.
#[derive(Debug)]
pub struct Clock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The time shown when the stopwatch was started.
    base: Timestamp,
    stopwatch: Instant,
    /// What the system clock showed last.
    system: Timestamp,
    step_back: i64,
}

impl Clock {
    /// Starts no earlier than `floor`, the latest time that the database has seen.
    #[must_use]
    pub fn starting_at(floor: Timestamp) -> Self {
        Self { state: Mutex::new(State { base: floor, stopwatch: Instant::now(), system: floor, step_back: 0 }) }
    }

    /// Unix milliseconds, never less than it has said before.
    pub fn now(&self) -> Timestamp {
        let mut state = self.state();
        let system = system_time();
        if system + TOLERANCE < state.system {
            state.step_back = state.step_back.max(state.system - system);
        }
        state.system = system;
        let elapsed = i64::try_from(state.stopwatch.elapsed().as_millis()).unwrap_or(i64::MAX);
        let steady = state.base.saturating_add(elapsed);
        if system > steady {
            (state.base, state.stopwatch) = (system, Instant::now());
        }
        system.max(steady)
    }

    /// The widest step back since the last call, in milliseconds: recorded, not trusted.
    pub fn take_step_back(&self) -> Option<i64> {
        Some(std::mem::take(&mut self.state().step_back)).filter(|step| *step > 0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics while holding this lock")
    }
}

fn system_time() -> Timestamp {
    // INVARIANT: a system clock before 1970 reads as 1970; the clock then goes on from its floor.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Clock, HOUR, system_time};
    use std::time::Duration;

    #[test]
    fn goes_on_from_its_floor_when_the_system_clock_is_behind_and_says_so_once() {
        let ahead = system_time() + HOUR;
        let clock = Clock::starting_at(ahead);
        let first = clock.now();
        std::thread::sleep(Duration::from_millis(20));
        assert!(first >= ahead && clock.now() >= first + 20);
        assert!(clock.take_step_back().is_some_and(|step| step > HOUR - 1_000));
        clock.now();
        assert_eq!(clock.take_step_back(), None);
    }

    #[test]
    fn follows_a_system_clock_that_is_ahead() {
        let clock = Clock::starting_at(system_time() - HOUR);
        assert!((clock.now() - system_time()).abs() < 1_000);
        assert_eq!(clock.take_step_back(), None);
    }
}
