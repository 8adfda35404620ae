use super::seen::{Match, Name, Place};
use std::collections::HashMap;

/// The window of time of all rules that have one, in seconds.
const HOUR: u64 = 3_600;
/// After so many sightings those are dropped that are too old to matter.
const SWEEP: u32 = 4_096;

/// Different things that each subject was seen with within an hour.
#[derive(Debug, Default)]
pub(super) struct LastHour {
    subjects: HashMap<Name, Track>,
    since_sweep: u32,
}

#[derive(Debug, Default)]
struct Track {
    /// Each thing once, where it was seen last; in the order of their first sighting.
    things: Vec<(Name, Place)>,
    /// When something was last found: for an hour the subject is left alone.
    found: Option<u64>,
}

impl LastHour {
    /// The subject was seen with a thing.
    pub(super) fn add(&mut self, subject: Name, thing: Name, at: Place) {
        self.sweep(at);
        let track = self.subjects.entry(subject).or_default();
        track.forget_old(at);
        if track.found.is_none() {
            track.things.retain(|(other, _)| *other != thing);
            track.things.push((thing, at));
        }
    }

    /// Where the subject's things of the last hour were seen.
    pub(super) fn of(&self, subject: Name, at: Place) -> Vec<u64> {
        let things = self.subjects.get(&subject).map(|track| &track.things[..]).unwrap_or_default();
        things.iter().filter(|(_, seen)| is_recent(seen.iat, at)).map(|(_, seen)| seen.index).collect()
    }

    /// The subject begins anew.
    pub(super) fn forget(&mut self, subject: Name) {
        self.subjects.remove(&subject);
    }

    /// The subject's things of the last hour, once there are `threshold` of them; it is then left alone for an hour.
    pub(super) fn reaches(&mut self, subject: Name, threshold: u64, at: Place) -> Option<Match> {
        let indices = self.of(subject, at);
        let observed = indices.len() as u64;
        if observed == 0 || observed < threshold {
            return None;
        }
        self.subjects.insert(subject, Track { things: Vec::new(), found: Some(at.iat) });
        Some(Match::new(observed, indices))
    }

    fn sweep(&mut self, at: Place) {
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP {
            self.since_sweep = 0;
            self.subjects.retain(|_, track| {
                track.forget_old(at);
                track.found.is_some() || !track.things.is_empty()
            });
        }
    }
}

impl Track {
    fn forget_old(&mut self, at: Place) {
        self.things.retain(|(_, seen)| is_recent(seen.iat, at));
        self.found = self.found.filter(|iat| is_recent(*iat, at));
    }
}

/// In both directions: a clock that went back leaves events of the future behind.
fn is_recent(iat: u64, at: Place) -> bool {
    at.iat.abs_diff(iat) < HOUR
}
