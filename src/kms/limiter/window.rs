//! How many calls a provider takes at a time, learnt from its answers: additive increase, multiplicative decrease
//! (after RFC 5681, section 3.1), between one and what the configuration allows.

use std::time::{Duration, Instant};

/// Between two increases; and how long a provider that cannot bear one call after the other is left alone.
const STEP: Duration = Duration::from_secs(1);
/// A vendor is believed for so long; then a call asks again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Window {
    ceiling: usize,
    allowed: usize,
    changed: Instant,
    paused_until: Option<Instant>,
}

impl Window {
    pub(super) fn new(ceiling: usize, now: Instant) -> Self {
        let ceiling = ceiling.max(1);
        Self { ceiling, allowed: ceiling, changed: now, paused_until: None }
    }

    /// Calls at the same time, now.
    pub(super) fn allowed(&self) -> usize {
        self.allowed
    }

    /// Until when nothing may go out, if that is after `now`.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| now < *until)
    }

    /// A call did not hit the vendor's limit while so many were `in_use`.
    pub(super) fn passed(&mut self, in_use: usize, now: Instant) {
        // A window that is not half used says nothing about a larger one.
        if self.allowed < self.ceiling && in_use * 2 >= self.allowed && now >= self.changed + STEP {
            self.allowed = self.ceiling.min(self.allowed + self.ceiling.div_ceil(16));
            self.changed = now;
        }
    }

    /// The vendor throttled a call that was `started` then.
    pub(super) fn throttled(&mut self, started: Instant, retry_after: Option<Duration>, now: Instant) {
        // A call that was under way when the window changed says nothing about its new size.
        if started >= self.changed {
            if self.allowed == 1 {
                self.pause(now + STEP);
            }
            self.allowed = (self.allowed / 2).max(1);
            self.changed = now;
        }
        if let Some(wait) = retry_after {
            self.pause(now + wait.min(LONGEST_PAUSE));
        }
    }

    fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }
}
