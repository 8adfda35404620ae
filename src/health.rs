//! What is known about each KEK: whether its canary opened when it was last tried.

use crate::clock::Timestamp;
use crate::store::stored_words;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// Failures in a row from which a KEK counts as failing: one may be an accident.
const TOLERATED: u32 = 2;

stored_words! {
    /// Whether a KEK opens what is under it.
    HealthState {
        /// The canary opened.
        Usable = "usable",
        /// The canary did not open, twice in a row or more often.
        Failing = "failing",
    }
}

/// What the last tests of a KEK say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KekHealth {
    /// As of the last test.
    pub state: HealthState,
    /// Unix milliseconds since when it is so.
    pub since: Timestamp,
    /// Why the last test failed, if it did.
    pub reason: Option<&'static str>,
    failures: u32,
}

/// All KEKs that are tested.
#[derive(Debug, Default)]
pub struct Health(Mutex<HashMap<Uuid, KekHealth>>);

impl Health {
    /// What is known about a KEK; nothing where it is not in use, or the broker has just started.
    #[must_use]
    pub fn of(&self, kek: Uuid) -> Option<KekHealth> {
        self.known().get(&kek).copied()
    }

    /// Takes the result of a test; gives the new state where it has changed. A KEK is taken for usable at first.
    pub fn observe(&self, kek: Uuid, tested: Result<(), &'static str>, now: Timestamp) -> Option<HealthState> {
        let mut known = self.known();
        let first = KekHealth { state: HealthState::Usable, since: now, reason: None, failures: 0 };
        let health = known.entry(kek).or_insert(first);
        health.reason = tested.err();
        health.failures = if tested.is_ok() { 0 } else { health.failures.saturating_add(1) };
        let state = match health.failures {
            0 => HealthState::Usable,
            TOLERATED.. => HealthState::Failing,
            _ => health.state,
        };
        if state == health.state {
            return None;
        }
        (health.state, health.since) = (state, now);
        Some(state)
    }

    /// Forgets all KEKs but these, and tells which.
    pub fn keep(&self, tested: &BTreeSet<Uuid>) -> Vec<Uuid> {
        let mut known = self.known();
        let gone: Vec<Uuid> = known.keys().filter(|kek| !tested.contains(kek)).copied().collect();
        known.retain(|kek, _| tested.contains(kek));
        gone
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Uuid, KekHealth>> {
        self.0.lock().expect("invariant: nothing panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, HealthState};
    use uuid::Uuid;

    #[test]
    fn one_failure_is_an_accident_two_are_news_once() {
        let (health, kek) = (Health::default(), Uuid::from_u128(1));
        let down = Err("provider_unavailable");
        let turns = [(down, None), (Ok(()), None), (down, None), (down, Some(HealthState::Failing)), (down, None)];
        for (now, (tested, turn)) in (0..).zip(turns) {
            assert_eq!(health.observe(kek, tested, now), turn, "at {now}");
        }
        assert_eq!(health.of(kek).map(|known| (known.since, known.reason)), Some((3, Some("provider_unavailable"))));
        assert_eq!(health.observe(kek, Ok(()), 5), Some(HealthState::Usable));
        assert_eq!(health.keep(&[].into()), [kek]);
        assert_eq!(health.of(kek), None);
    }
}
