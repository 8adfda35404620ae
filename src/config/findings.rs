//! `[findings]`: what looks wrong in a log.

use audit::finding::{Rule, Settings};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Which rules look at the log, and what they are set to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Findings {
    /// Rules that do not run.
    off: BTreeSet<Rule>,
    /// Where each of these finds something; a rule that is named here runs.
    thresholds: BTreeMap<Rule, u64>,
}

impl Findings {
    /// The defaults, with what the file says.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let set = self.thresholds.iter().fold(Settings::default(), |all, (rule, value)| all.with(*rule, *value));
        self.off.iter().fold(set, |all, rule| all.without(*rule))
    }
}
