//! A circuit breaker per KEK: a dead HSM is not asked again and again, and slows nobody else.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
const TOLERATED: u32 = 5;
/// How long an open circuit refuses before one call may try.
const PAUSE: Duration = Duration::from_secs(5);

/// Closed, open, or letting one call try.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// When one call may try; set by the failure that opened the circuit, and by each one since.
    try_at: Option<Instant>,
    /// One call is trying.
    trying: bool,
}

/// A call that was let through. Dropped without a verdict, it counts neither way, and another may try.
#[derive(Debug)]
pub(super) struct Trial<'b> {
    breaker: &'b Breaker,
    tries: bool,
}

impl Breaker {
    /// Lets a call through at `now`; else says how long to wait.
    pub(super) fn admit(&self, now: Instant) -> Result<Trial<'_>, Duration> {
        let mut state = self.state();
        match state.try_at {
            Some(try_at) if now < try_at => Err(try_at - now),
            Some(_) if state.trying => Err(PAUSE),
            Some(_) => {
                state.trying = true;
                Ok(Trial { breaker: self, tries: true })
            }
            None => Ok(Trial { breaker: self, tries: false }),
        }
    }

    /// Whether calls are refused, but for the one that tries.
    pub(super) fn is_open(&self) -> bool {
        self.state().try_at.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics while holding this lock")
    }
}

impl Trial<'_> {
    /// The provider answered, whatever it answered.
    pub(super) fn answered(self) {
        let mut state = self.breaker.state();
        (state.failures, state.try_at) = (0, None);
    }

    /// No answer, or one that makes no sense.
    pub(super) fn failed(self, now: Instant) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= TOLERATED {
            state.try_at = Some(now + PAUSE);
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if self.tries {
            self.breaker.state().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, PAUSE, TOLERATED};
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use std::time::{Duration, Instant};

    /// What happens to a breaker; calls under way are named by their place.
    #[derive(Debug, Clone)]
    enum Step {
        Call,
        Answer(usize),
        Fail(usize),
        Drop(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => any::<()>().prop_map(|()| Step::Call),
            1 => any::<usize>().prop_map(Step::Answer),
            4 => any::<usize>().prop_map(Step::Fail),
            1 => any::<usize>().prop_map(Step::Drop),
            1 => (0..7_000_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn opens_after_failures_in_a_row_and_then_lets_one_call_at_a_time_try(steps in vec(step(), 0..200)) {
            let breaker = Breaker::default();
            let (mut now, mut failures, mut last_failure) = (Instant::now(), 0_u32, Instant::now());
            let mut under_way = Vec::new();
            for step in steps {
                match step {
                    Step::Call => {
                        let open = failures >= TOLERATED;
                        let trying = under_way.iter().any(|trial: &super::Trial<'_>| trial.tries);
                        let expected = !open || (!trying && now >= last_failure + PAUSE);
                        let admitted = breaker.admit(now);
                        prop_assert_eq!(admitted.is_ok(), expected);
                        under_way.extend(admitted);
                    }
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                    Step::Answer(at) | Step::Fail(at) | Step::Drop(at) if !under_way.is_empty() => {
                        let trial = under_way.swap_remove(at % under_way.len());
                        match step {
                            Step::Answer(_) => {
                                trial.answered();
                                failures = 0;
                            }
                            Step::Fail(_) => {
                                trial.failed(now);
                                (failures, last_failure) = (failures + 1, now);
                            }
                            Step::Drop(_) | Step::Call | Step::Wait(_) => drop(trial),
                        }
                    }
                    Step::Answer(_) | Step::Fail(_) | Step::Drop(_) => {}
                }
                prop_assert_eq!(breaker.is_open(), failures >= TOLERATED);
            }
            drop(under_way);
            prop_assert!(breaker.admit(now + PAUSE).is_ok(), "a call that was dropped keeps nobody out");
        }
    }
}
