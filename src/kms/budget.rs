//! How often a key may wrap. AES-GCM under random 96-bit nonces is good for 2^32 invocations of a key (NIST SP 800-38D,
//! section 8.3); the vendor's count is not ours to see, so ours stops earlier.

use providers::{Error, Unusable};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// Per cent of the budget at which to warn.
const WARN_AT: u64 = 80;

/// Counts the wraps of each version of one KEK.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    /// The version that wrapped last; empty until that is known, and for ever where the vendor has none.
    newest: String,
    by_version: BTreeMap<String, u64>,
    warned: bool,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, spent: Mutex::default() }
    }

    /// Whether the newest version may wrap once more; else [`Unusable::Exhausted`].
    pub(super) fn check(&self) -> Result<(), Error> {
        let spent = self.spent();
        if spent.of_newest() < self.limit { Ok(()) } else { Err(Error::KeyUnusable(Unusable::Exhausted)) }
    }

    /// Counts one call to wrap, whatever becomes of it: the vendor may have spent a nonce on it.
    /// True once for each version, when its budget nears the end.
    pub(super) fn spend(&self) -> bool {
        let mut spent = self.spent();
        let newest = spent.newest.clone();
        spent.add(&newest, 1);
        let near = spent.of_newest() >= self.limit.saturating_mul(WARN_AT).div_ceil(100);
        near && !std::mem::replace(&mut spent.warned, near)
    }

    /// So many wraps of this version were made before.
    pub(super) fn add(&self, version: &str, wraps: u64) {
        self.spent().add(version, wraps);
    }

    /// This version wraps now, and has a budget of its own.
    pub(super) fn uses(&self, version: &str) {
        let mut spent = self.spent();
        if spent.newest != version {
            // What was counted, or said, before any version was known is of this one.
            let unknown = spent.by_version.remove("").unwrap_or_default();
            spent.warned &= spent.newest.is_empty();
            spent.newest = version.to_owned();
            spent.add(version, unknown);
        }
    }

    /// What is spent of the newest version's budget, 1.0 when all is.
    pub(super) fn used(&self) -> f64 {
        self.spent().of_newest() as f64 / self.limit as f64
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().expect("invariant: nothing panics while holding this lock")
    }
}

impl Spent {
    /// As long as no version is known, it may be any.
    fn of_newest(&self) -> u64 {
        let wraps =
            if self.newest.is_empty() { self.by_version.values().max() } else { self.by_version.get(&self.newest) };
        wraps.copied().unwrap_or_default()
    }

    fn add(&mut self, version: &str, wraps: u64) {
        let known = self.by_version.entry(version.to_owned()).or_default();
        *known = known.saturating_add(wraps);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use providers::{Error, Unusable};

    #[test]
    fn warns_once_ends_and_starts_anew_with_each_version() {
        let budget = Budget::new(10);
        budget.uses("1");
        let warned: Vec<_> = (1..=10).filter(|_| budget.check().is_ok() && budget.spend()).collect();
        assert_eq!(warned, [8]);
        assert!(matches!(budget.check(), Err(Error::KeyUnusable(Unusable::Exhausted))));
        budget.uses("2");
        assert!(budget.check().is_ok() && budget.used() == 0.0);
        budget.uses("1");
        assert!(budget.check().is_err(), "a version that comes back has what it spent");

        let restarted = Budget::new(10);
        restarted.add("1", 10);
        restarted.add("2", 8);
        assert!(restarted.check().is_err(), "it may be the first that wraps");
        restarted.uses("2");
        assert!(restarted.check().is_ok() && restarted.spend());
        assert!(restarted.check().is_ok() && !restarted.spend());
        assert!(restarted.check().is_err(), "what was spent before the start counts");
    }
}
