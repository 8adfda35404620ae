//! A vendor's quota in calls per second, as an even pace (GCRA, ITU-T I.371). Time is an argument here, which governor's
//! own limiter does not allow.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Calls that may go out at once after a pause are those of so long.
const BURST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Quota {
    interval: Duration,
    next: Instant,
}

impl Quota {
    /// `interval` between calls, on average.
    pub(super) fn every(interval: Duration, now: Instant) -> Self {
        Self { interval, next: now }
    }

    pub(super) fn per_second(rate: NonZeroU32, now: Instant) -> Self {
        Self::every(Duration::from_secs(1) / rate.get(), now)
    }

    /// When the next call may go out; at once if that is past.
    pub(super) fn ready_at(&self) -> Instant {
        self.next
    }

    /// A call goes out.
    pub(super) fn spend(&mut self, now: Instant) {
        let earliest = now.checked_sub(BURST.saturating_sub(self.interval)).unwrap_or(now);
        self.next = self.next.max(earliest) + self.interval;
    }
}
