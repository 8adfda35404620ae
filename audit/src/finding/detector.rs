use super::administration::FirstSeen;
use super::burst::Burst;
use super::health::{ClockSteps, OpenIntents, Restarts, Silence};
use super::refusals::Refusals;
use super::restores::{AfterEnrolment, Dormant, UserFanout};
use super::seen::{Match, Names, Pattern, Place, Seen};
use super::{Finding, MAX_EVIDENCE, Rule, Settings};
use crate::event::{Field, Kind};
use crate::leaf::Opened;

/// Applies the rules to one log. Persons are in its memory only as hashes under a key that it makes for itself and never
/// shows; those that were erased count by what is clear.
pub struct Detector {
    names: Names,
    running: Vec<Running>,
}

struct Running {
    rule: Rule,
    threshold: u64,
    pattern: Box<dyn Pattern>,
}

impl Detector {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let running = settings.running();
        let running = running.map(|(rule, threshold)| Running { rule, threshold, pattern: pattern(rule, threshold) });
        Self { names: Names::default(), running: running.collect() }
    }

    /// Takes the log's next event: all of them, in the order of their indices. Gives what it completes, in the order of
    /// [`Rule::ALL`], at most one finding of a rule; nothing is ever found in a `finding.raised`.
    pub fn observe(&mut self, index: u64, opened: &Opened) -> Vec<Finding> {
        let at = Place { index, iat: opened.iat };
        let seen = Seen { at, boot: opened.boot, event: &opened.event, names: &self.names };
        let is_finding = opened.event.kind == Kind::FindingRaised;
        let told = self.running.iter_mut().filter(|running| !is_finding || running.rule == Rule::LogSilent);
        told.filter_map(|running| running.observe(&seen)).collect()
    }
}

impl Running {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Finding> {
        let Match { observed, mut earlier, correlation } = self.pattern.observe(seen)?;
        earlier.push(seen.at.index);
        earlier.sort_unstable();
        earlier.dedup();
        let evidence = earlier.split_off(earlier.len().saturating_sub(MAX_EVIDENCE));
        let Self { rule, threshold, .. } = *self;
        Some(Finding { rule, version: rule.version(), threshold, observed, evidence, correlation })
    }
}

fn pattern(rule: Rule, threshold: u64) -> Box<dyn Pattern> {
    match rule {
        Rule::RestoreRate => Box::new(Burst::of_events(Kind::RestoreReleased, Field::Device, threshold)),
        Rule::WrapRate => Box::new(Burst::of_events(Kind::RecordWrapped, Field::Device, threshold)),
        Rule::RecordFanout => Box::new(Burst::of_records(Kind::RestoreReleased, Field::User, threshold)),
        Rule::UserFanout => Box::new(UserFanout::new(threshold)),
        Rule::RestoreAfterEnrolment => Box::new(AfterEnrolment::new(threshold)),
        Rule::DormantRecord => Box::new(Dormant::new(threshold)),
        Rule::DenialsThenRelease => Box::new(Refusals::of_restores(threshold)),
        Rule::DenialsThenEnrolment => Box::new(Refusals::of_enrolments(threshold)),
        Rule::FirstSeenProvider => Box::new(FirstSeen::provider(threshold)),
        Rule::FirstSeenNetwork => Box::new(FirstSeen::network(threshold)),
        Rule::FirstSeenAgent => Box::new(FirstSeen::agent(threshold)),
        Rule::IntentWithoutOutcome => Box::new(OpenIntents::new(threshold)),
        Rule::LogSilent => Box::new(Silence::new(threshold)),
        Rule::ClockWentBack => Box::new(ClockSteps::new(threshold)),
        Rule::FrequentRestarts => Box::new(Restarts::new(threshold)),
    }
}
