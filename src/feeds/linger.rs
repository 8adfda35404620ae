//! Events that wait for others, so that a batch is worth its while. Pure: no I/O, no clock.

use std::time::{Duration, Instant};

/// How long events may wait for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Linger {
    /// From the first of them.
    pub wait: Duration,
    /// So many do not wait.
    pub full: u64,
}

/// The events of one log that wait for others.
#[derive(Debug, Clone, Default)]
pub(super) struct Lingering {
    /// Below this none waits any longer.
    released: u64,
    /// Since when there is one that waits.
    since: Option<Instant>,
}

impl Lingering {
    /// There are new events.
    pub(super) fn grown(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Nothing below `size` waits any longer: a batch that fails, or takes only some, is followed at once.
    pub(super) fn release(&mut self, size: u64) {
        (self.released, self.since) = (size, None);
    }

    /// Whether some of the events from `next` up to `size` go now.
    pub(super) fn is_over(&self, linger: Linger, (next, size): (u64, u64), now: Instant) -> bool {
        let waited = self.due(linger).is_none_or(|due| due <= now);
        next < size && (next < self.released || size - next >= linger.full || waited)
    }

    /// When the first has waited long enough.
    pub(super) fn due(&self, linger: Linger) -> Option<Instant> {
        self.since.map(|since| since + linger.wait)
    }
}
