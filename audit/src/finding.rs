//! Findings: what looks wrong in a log, by rules that anybody can check.
//!
//! A [`Detector`] reads one log from its first event on and applies the [`Rule`]s. It has no clock and no randomness that
//! shows: time is the events' own, and the same events give the same findings, whoever reads them and whenever.

mod administration;
mod burst;
mod detector;
mod health;
mod last_hour;
mod refusals;
mod restores;
mod rule;
mod seen;

pub use detector::Detector;
pub use rule::{Rule, Settings, UnknownRule};

use crate::event::{Event, Field, Kind, Outcome};
use uuid::Uuid;

/// Most leaf indices that one finding names.
pub const MAX_EVIDENCE: usize = 64;

/// What a rule has found, and in which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// By which rule.
    pub rule: Rule,
    /// The rule's version: another one may find something else in the same events.
    pub version: u32,
    /// What the rule was set to, in its own unit.
    pub threshold: u64,
    /// What was seen, in the same unit.
    pub observed: u64,
    /// The events that show it, ascending, the newest [`MAX_EVIDENCE`] of them; the last one completed it.
    pub evidence: Vec<u64>,
    /// The restore that it is about, where it is about one.
    pub correlation: Option<Uuid>,
}

impl Finding {
    /// The event that completed it. No rule finds two things in one event.
    #[must_use]
    pub fn trigger(&self) -> u64 {
        self.evidence.last().copied().unwrap_or_default()
    }

    /// The event that tells of it: the rule as outcome, the rest as `reason`. It names no person.
    #[must_use]
    pub fn to_event(&self) -> Event {
        let Self { version, threshold, observed, .. } = self;
        let indices: Vec<_> = self.evidence.iter().map(u64::to_string).collect();
        let reason =
            format!("version={version} threshold={threshold} observed={observed} events={}", indices.join(","));
        let event = Event::new(Kind::FindingRaised, Outcome::from_static(self.rule.as_str())).reason(reason);
        match self.correlation {
            Some(correlation) => event.correlation(correlation),
            None => event,
        }
    }

    /// What [`Self::to_event`] told. `None` for every other event, also for findings that no rule of these made.
    #[must_use]
    pub fn from_event(event: &Event) -> Option<Self> {
        if event.kind != Kind::FindingRaised {
            return None;
        }
        let mut words = event.text(Field::Reason)?.split(' ');
        let mut value = |name| words.next()?.strip_prefix(name)?.strip_prefix('=');
        Some(Self {
            rule: event.outcome.as_str().parse().ok()?,
            version: value("version")?.parse().ok()?,
            threshold: value("threshold")?.parse().ok()?,
            observed: value("observed")?.parse().ok()?,
            evidence: value("events")?.split(',').map(|index| index.parse().ok()).collect::<Option<_>>()?,
            correlation: event.correlation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, MAX_EVIDENCE, Rule};
    use crate::event::{Event, Kind, Outcome};
    use uuid::Uuid;

    #[test]
    fn the_event_tells_all_of_it_however_long_the_log_is() {
        let last = 1_000_000_000_000;
        let mut finding = Finding {
            rule: Rule::RestoreRate,
            version: 1,
            threshold: u64::MAX,
            observed: u64::MAX,
            evidence: (last..).take(MAX_EVIDENCE).collect(),
            correlation: None,
        };
        assert_eq!(Finding::from_event(&finding.to_event()), Some(finding.clone()));
        finding.correlation = Some(Uuid::from_u128(7));
        assert_eq!(Finding::from_event(&finding.to_event()), Some(finding));
    }

    #[test]
    fn findings_of_others_are_none_of_these() {
        let event = |outcome| Event::new(Kind::FindingRaised, Outcome::from_static(outcome));
        assert_eq!(Finding::from_event(&event("wrapped_mismatch")), None);
        assert_eq!(Finding::from_event(&event("restore_rate")), None);
        assert_eq!(Finding::from_event(&event("restore_rate").reason("version=1 threshold=x")), None);
    }
}
