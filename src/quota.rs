//! How many restores users and tenants may ask for, and how often a user may fail: budgets that fill again with time.

use crate::clock::Timestamp;
use std::collections::BTreeMap;

const HOUR: Timestamp = 3_600_000;
const DAY: Timestamp = 24 * HOUR;

/// What one tenant and each of its users may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Restores of one user that are not over.
    pub open_restores: u32,
    /// Restores that one user may ask for in a day.
    pub restores_per_day: u32,
    /// How often one user may fail in a day; at the last, the user is locked.
    pub failures_per_day: u32,
    /// Restores that all users together may ask for in an hour; at one more, the tenant's restores are frozen.
    pub tenant_restores_per_hour: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self { open_restores: 5, restores_per_day: 20, failures_per_day: 10, tenant_restores_per_hour: 200 }
    }
}

impl Quota {
    pub(crate) const fn asking(self) -> Allowance {
        Allowance { number: self.restores_per_day, window: DAY }
    }

    pub(crate) const fn failing(self) -> Allowance {
        Allowance { number: self.failures_per_day, window: DAY }
    }

    pub(crate) const fn tenant_asking(self) -> Allowance {
        Allowance { number: self.tenant_restores_per_hour, window: HOUR }
    }
}

/// The quota of each tenant.
#[derive(Debug, Clone, Default)]
pub struct Quotas {
    /// Of those that `tenants` does not name.
    pub usual: Quota,
    /// Of these.
    pub tenants: BTreeMap<String, Quota>,
}

impl Quotas {
    /// The tenant's.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Quota {
        self.tenants.get(tenant).copied().unwrap_or(self.usual)
    }
}

/// So many within so many milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    number: u32,
    window: Timestamp,
}

/// What was taken of an allowance, as the time at which all of it is there again (the generic cell rate algorithm): all at
/// once, or one each `window / number`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget(pub Timestamp);

impl Budget {
    /// Whether there is room for one more.
    pub(crate) fn has_room(self, allowance: Allowance, now: Timestamp) -> bool {
        allowance.number > 0 && self.after_one(allowance, now) - now <= allowance.window
    }

    /// Takes one, whether there is room or not.
    pub(crate) fn take(&mut self, allowance: Allowance, now: Timestamp) {
        self.0 = self.after_one(allowance, now);
    }

    fn after_one(self, allowance: Allowance, now: Timestamp) -> Timestamp {
        // Nobody waits longer than for one window, whatever the database says.
        let full = self.0.clamp(now, now + allowance.window);
        full + allowance.window / Timestamp::from(allowance.number.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Budget, DAY};

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        let (allowance, now) = (Allowance { number: 5, window: DAY }, 1_795_000_000_000);
        let mut budget = Budget::default();
        for _ in 0..5 {
            assert!(budget.has_room(allowance, now));
            budget.take(allowance, now);
        }
        assert!(!budget.has_room(allowance, now));
        assert!(!budget.has_room(allowance, now + DAY / 5 - 1));
        assert!(budget.has_room(allowance, now + DAY / 5));
        budget.take(allowance, now + DAY / 5);
        assert!(!budget.has_room(allowance, now + DAY / 5));
        assert!(!Budget(0).has_room(Allowance { number: 0, window: DAY }, now), "nothing is nothing");
        assert!(!Budget(i64::MAX).has_room(allowance, now), "an altered row is no way to overflow");
    }
}
