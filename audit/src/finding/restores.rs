//! Restores that are out of the ordinary.

use super::last_hour::LastHour;
use super::seen::{Match, Name, Pattern, Place, Seen};
use crate::event::{Field, Kind};
use std::collections::HashMap;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 3_600;

/// Many users' records, one administrator.
pub(super) struct UserFanout {
    threshold: u64,
    /// Who made the newest enrolment code of each user.
    codes: HashMap<Name, Name>,
    /// Who made the code that each device enrolled with.
    devices: HashMap<Name, Name>,
    /// Who approved each restore under way.
    approvers: HashMap<Name, Vec<Name>>,
    lately: LastHour,
}

impl UserFanout {
    pub(super) fn new(threshold: u64) -> Self {
        let (codes, devices, approvers) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { threshold, codes, devices, approvers, lately: LastHour::default() }
    }

    /// Remembers who is behind the restores to come.
    fn learn(&mut self, seen: &Seen<'_>) -> Option<()> {
        let kind = seen.event.kind;
        if kind == Kind::EnrolmentCodeCreated {
            self.codes.insert(seen.name(Field::User)?, seen.name(Field::Actor)?);
        }
        if kind == Kind::DeviceEnrolled {
            let actor = *self.codes.get(&seen.name(Field::User)?)?;
            self.devices.insert(seen.name(Field::Device)?, actor);
        }
        if kind == Kind::RestoreApproved {
            self.approvers.entry(seen.correlation()?).or_default().push(seen.name(Field::Actor)?);
        }
        if [Kind::RestoreRejected, Kind::RestoreVetoed, Kind::RestoreExpired, Kind::RestoreRevoked].contains(&kind) {
            self.approvers.remove(&seen.correlation()?);
        }
        Some(())
    }

    fn released(&mut self, seen: &Seen<'_>) -> Option<Match> {
        let user = seen.name(Field::User)?;
        let mut actors = seen.correlation().and_then(|restore| self.approvers.remove(&restore)).unwrap_or_default();
        actors.extend(seen.name(Field::Device).and_then(|device| self.devices.get(&device)));
        for actor in &actors {
            self.lately.add(*actor, user, seen.at);
        }
        // All of them are dealt with, and the one with most users is told: an event gives one finding.
        let reach = |actor: &Name| self.lately.reaches(*actor, self.threshold, seen.at);
        actors.iter().filter_map(reach).max_by_key(|found| found.observed)
    }
}

impl Pattern for UserFanout {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        let _incomplete = self.learn(seen);
        if seen.event.kind == Kind::RestoreReleased { self.released(seen) } else { None }
    }
}

/// A device that restores as soon as it is enrolled.
pub(super) struct AfterEnrolment {
    threshold: u64,
    enrolled: HashMap<Name, Place>,
}

impl AfterEnrolment {
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold, enrolled: HashMap::new() }
    }
}

impl Pattern for AfterEnrolment {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        if seen.event.kind == Kind::DeviceEnrolled {
            self.enrolled.insert(seen.name(Field::Device)?, seen.at);
        }
        if seen.event.kind != Kind::RestoreReleased {
            return None;
        }
        // The first restore only.
        let enrolled = self.enrolled.remove(&seen.name(Field::Device)?)?;
        let minutes = seen.at.iat.saturating_sub(enrolled.iat) / MINUTE;
        (minutes < self.threshold).then(|| Match::new(minutes, vec![enrolled.index]).about(seen.event.correlation))
    }
}

/// A record that comes back after a long time.
pub(super) struct Dormant {
    threshold: u64,
    /// When each record was last backed up or restored. A rewrap is the broker's own doing and does not count.
    touched: HashMap<Name, Place>,
}

impl Dormant {
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold, touched: HashMap::new() }
    }

    fn released(&mut self, seen: &Seen<'_>) -> Option<Match> {
        let (mut longest, mut earlier) = (0, Vec::new());
        for record in seen.records() {
            let Some(touched) = self.touched.insert(record, seen.at) else { continue };
            let days = seen.at.iat.saturating_sub(touched.iat) / DAY;
            if days >= self.threshold {
                longest = longest.max(days);
                earlier.push(touched.index);
            }
        }
        (!earlier.is_empty()).then(|| Match::new(longest, earlier).about(seen.event.correlation))
    }
}

impl Pattern for Dormant {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        if seen.event.kind == Kind::RecordWrapped
            && let Some(record) = seen.event.correlation
        {
            self.touched.insert(seen.record(&record.to_string()), seen.at);
        }
        if seen.event.kind == Kind::RestoreReleased { self.released(seen) } else { None }
    }
}
