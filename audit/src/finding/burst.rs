//! Too much of one thing within an hour.

use super::last_hour::LastHour;
use super::seen::{Match, Name, Pattern, Seen};
use crate::event::{Field, Kind};

/// So many different things within an hour of one device or user.
pub(super) struct Burst {
    kind: Kind,
    by: Field,
    things: fn(&Seen<'_>) -> Vec<Name>,
    threshold: u64,
    lately: LastHour,
}

impl Burst {
    /// Every event counts.
    pub(super) fn of_events(kind: Kind, by: Field, threshold: u64) -> Self {
        Self { kind, by, things: |seen| vec![seen.itself()], threshold, lately: LastHour::default() }
    }

    /// Every record counts, once.
    pub(super) fn of_records(kind: Kind, by: Field, threshold: u64) -> Self {
        Self { kind, by, things: |seen| seen.records(), threshold, lately: LastHour::default() }
    }
}

impl Pattern for Burst {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        if seen.event.kind != self.kind {
            return None;
        }
        let subject = seen.name(self.by)?;
        for thing in (self.things)(seen) {
            self.lately.add(subject, thing, seen.at);
        }
        self.lately.reaches(subject, self.threshold, seen.at)
    }
}
