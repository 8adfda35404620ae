//! A circuit breaker per KEK: a dead HSM is not asked again and again, and slows nobody else.

use crate::clock::Timestamp;
use std::sync::Mutex;
use std::time::Duration;

/// Failures in a row that open the circuit.
const TOLERATED: u32 = 5;
/// How long an open circuit refuses before one call may try, in milliseconds.
const PAUSE: i64 = 5_000;

/// Closed, open, or letting one call try.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Timestamp,
}

impl Breaker {
    /// Whether a call may go out at `now`; else how long to wait.
    pub fn admit(&self, now: Timestamp) -> Result<(), Duration> {
        let mut state = self.state();
        if state.failures < TOLERATED {
            return Ok(());
        }
        if now < state.open_until {
            return Err(Duration::from_millis((state.open_until - now).unsigned_abs()));
        }
        // One call tries; the others wait until it is back.
        state.open_until = now + PAUSE;
        Ok(())
    }

    /// What became of a call: `alive` when the provider answered, whatever it answered.
    pub fn record(&self, alive: bool, now: Timestamp) {
        let mut state = self.state();
        if alive {
            *state = State::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            state.open_until = now + PAUSE;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, PAUSE, TOLERATED};

    #[test]
    fn opens_after_failures_and_lets_one_call_try() {
        let breaker = Breaker::default();
        (0..TOLERATED).for_each(|_| breaker.record(false, 0));
        assert!(breaker.admit(PAUSE - 1).is_err());
        assert!(breaker.admit(PAUSE).is_ok());
        assert!(breaker.admit(PAUSE).is_err(), "only one call tries");
        breaker.record(true, PAUSE);
        assert!(breaker.admit(PAUSE).is_ok());
    }
}
