//! Whether a change of policies is safe to make at once.

use crate::PolicySet;
use crate::policy_set::Entry;
use cedar_policy::Effect;

impl PolicySet {
    /// Whether these policies allow nothing that `old` refuses, and demand no less of whatever they allow.
    ///
    /// `true` is certain. `false` is not: policies are compared as they stand, whatever their names, and a condition that
    /// is said in other words counts as another.
    #[must_use]
    pub fn is_nowhere_weaker_than(&self, old: &Self) -> bool {
        self.permits().all(|new| old.permits().any(|old| tightens(new, old)))
            && old.permits().all(|old| self.makes_up_for(old))
            && old.of(Effect::Forbid).all(|old| self.of(Effect::Forbid).any(|new| new.body == old.body))
            && [self, old].iter().all(|set| set.entries.values().all(|entry| entry.body.is_some()))
    }

    /// Whether nothing gets easier by what has become of an old permit.
    ///
    /// While it held, its demands counted for whatever else was permitted, and where it failed all was refused.
    fn makes_up_for(&self, old: &Entry) -> bool {
        let is_kept = self.permits().any(|new| tightens(new, old));
        let is_missed_by_none = || self.permits().all(|new| new.needs.at_least(old.needs));
        is_kept || (!old.may_fail() && is_missed_by_none())
    }

    fn permits(&self) -> impl Iterator<Item = &Entry> {
        self.of(Effect::Permit)
    }

    fn of(&self, effect: Effect) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(move |entry| entry.body.as_ref().is_some_and(|body| body.effect == effect))
    }
}

/// Whether both hold for the same requests, and the new one demands at least as much.
fn tightens(new: &Entry, old: &Entry) -> bool {
    new.body == old.body && new.needs.at_least(old.needs)
}
