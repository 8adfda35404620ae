//! Whether the log is what a log of a broker in good health looks like.

use super::last_hour::LastHour;
use super::seen::{Match, Pattern, Place, Seen};
use crate::event::{Kind, Outcome};
use std::collections::BTreeMap;
use uuid::Uuid;

const MINUTE: u64 = 60;
/// Leaves are signed before they queue, so that their times may be out of order by this much, in seconds.
const OUT_OF_ORDER: u64 = 60;
const CLOCK_WENT_BACK: Outcome = Outcome::from_static("clock_went_back");

/// An intent whose outcome does not come.
pub(super) struct OpenIntents {
    threshold: u64,
    /// By index: `cor`, and since when an outcome is due.
    open: BTreeMap<u64, (Uuid, u64)>,
    boot: Option<Uuid>,
}

impl OpenIntents {
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold, open: BTreeMap::new(), boot: None }
    }

    /// A broker that starts gives interrupted restores their outcome: time in which none ran does not count.
    fn note_boot(&mut self, seen: &Seen<'_>) {
        if self.boot.replace(seen.boot).is_some_and(|boot| boot != seen.boot) {
            self.open.values_mut().for_each(|(_, since)| *since = seen.at.iat);
        }
    }

    fn overdue(&mut self, now: u64) -> Option<Match> {
        let minutes = |since: u64| now.saturating_sub(since) / MINUTE;
        let (index, (restore, since)) =
            self.open.iter().find(|(_, (_, since))| minutes(*since) >= self.threshold).map(|(i, open)| (*i, *open))?;
        self.open.remove(&index);
        Some(Match::new(minutes(since), vec![index]).about(Some(restore)))
    }
}

impl Pattern for OpenIntents {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        self.note_boot(seen);
        let concludes = [Kind::RestoreReleased, Kind::RestoreFailed, Kind::RestoreDenied].contains(&seen.event.kind);
        if let Some(restore) = seen.event.correlation {
            if concludes {
                self.open.retain(|_, (open, _)| *open != restore);
            }
            if seen.event.kind == Kind::RestoreIntent {
                self.open.insert(seen.at.index, (restore, seen.at.iat));
            }
        }
        self.overdue(seen.at.iat)
    }
}

/// A stretch of time in which even the heartbeat is missing.
pub(super) struct Silence {
    threshold: u64,
    last: Option<Place>,
}

impl Silence {
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold, last: None }
    }
}

impl Pattern for Silence {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        let last = self.last.replace(seen.at)?;
        let minutes = seen.at.iat.saturating_sub(last.iat) / MINUTE;
        if minutes < self.threshold {
            return None;
        }
        if seen.event.kind == Kind::FindingRaised {
            // A finding is a sign of life and nothing to raise one about: the next event will tell.
            self.last = Some(last);
            return None;
        }
        Some(Match::new(minutes, vec![last.index]))
    }
}

/// A clock that was set back: the broker says so, or the events' times do.
pub(super) struct ClockSteps {
    threshold: u64,
    last: Option<Place>,
    lately: LastHour,
}

impl ClockSteps {
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold, last: None, lately: LastHour::default() }
    }
}

impl Pattern for ClockSteps {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        let last = self.last.replace(seen.at);
        let told = seen.event.kind == Kind::LogHeartbeat && seen.event.outcome == CLOCK_WENT_BACK;
        if !told && last.is_none_or(|last| seen.at.iat + OUT_OF_ORDER > last.iat) {
            return None;
        }
        let log = seen.log();
        self.lately.add(log, seen.itself(), seen.at);
        self.lately.reaches(log, self.threshold, seen.at)
    }
}

/// A broker that starts again and again.
pub(super) struct Restarts {
    threshold: u64,
    boot: Option<Uuid>,
    lately: LastHour,
}

impl Restarts {
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold, boot: None, lately: LastHour::default() }
    }
}

impl Pattern for Restarts {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        if self.boot.replace(seen.boot) == Some(seen.boot) {
            return None;
        }
        let log = seen.log();
        self.lately.add(log, seen.itself(), seen.at);
        self.lately.reaches(log, self.threshold, seen.at)
    }
}
