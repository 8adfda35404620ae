//! Who was refused again and again, and then was not.

use super::last_hour::LastHour;
use super::seen::{Match, Name, Pattern, Seen};
use crate::event::{Field, Kind, Outcome};

/// Refusals that mean "not yet": any honest device that asks too early gets them.
const NOT_YET: [Outcome; 2] = [Outcome::from_static("restore_pending"), Outcome::from_static("restore_in_progress")];

/// Refused `refused`, then granted `granted`, by one of the subjects that both events name.
pub(super) struct Refusals {
    refused: Kind,
    granted: Kind,
    subjects: fn(&Seen<'_>) -> Vec<Name>,
    threshold: u64,
    lately: LastHour,
}

impl Refusals {
    /// Of a restore, a device or a user.
    pub(super) fn of_restores(threshold: u64) -> Self {
        let subjects = |seen: &Seen<'_>| {
            [seen.correlation(), seen.name(Field::Device), seen.name(Field::User)].into_iter().flatten().collect()
        };
        let (refused, granted) = (Kind::RestoreDenied, Kind::RestoreReleased);
        Self { refused, granted, subjects, threshold, lately: LastHour::default() }
    }

    /// From an address.
    pub(super) fn of_enrolments(threshold: u64) -> Self {
        let subjects = |seen: &Seen<'_>| seen.name(Field::Ip).into_iter().collect();
        let (refused, granted) = (Kind::EnrolDenied, Kind::DeviceEnrolled);
        Self { refused, granted, subjects, threshold, lately: LastHour::default() }
    }

    /// The longest row of refusals that ends here; every row ends here.
    fn granted(&mut self, seen: &Seen<'_>) -> Option<Match> {
        let subjects = (self.subjects)(seen);
        let longest = subjects.iter().map(|subject| self.lately.of(*subject, seen.at)).max_by_key(Vec::len)?;
        subjects.into_iter().for_each(|subject| self.lately.forget(subject));
        let observed = longest.len() as u64;
        let found = observed > 0 && observed >= self.threshold;
        found.then(|| Match::new(observed, longest).about(seen.event.correlation))
    }
}

impl Pattern for Refusals {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        if seen.event.kind == self.refused && !NOT_YET.contains(&seen.event.outcome) {
            for subject in (self.subjects)(seen) {
                self.lately.add(subject, seen.itself(), seen.at);
            }
        }
        if seen.event.kind == self.granted { self.granted(seen) } else { None }
    }
}
