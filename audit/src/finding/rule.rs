use serde::de::{Deserialize, Deserializer, Error};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The text names no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rule")]
pub struct UnknownRule(pub String);

/// Declares the rules: id, version, threshold, and whether they run unless somebody says otherwise.
macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident $id:literal $version:literal $threshold:literal $runs:literal),* $(,)?) => {
        /// What is looked for. Windows of time are an hour, and part of the rule's version.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$doc])* $variant),* }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The id: a reason code, for ever of the same meaning.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id),* }
            }

            /// Counts up whenever the rule finds something else than before in the same events.
            #[must_use]
            pub const fn version(self) -> u32 {
                match self { $(Self::$variant => $version),* }
            }

            /// The threshold where none is set, in the rule's own unit.
            #[must_use]
            pub const fn default_threshold(self) -> u64 {
                match self { $(Self::$variant => $threshold),* }
            }

            /// Whether it runs where nothing is set.
            #[must_use]
            pub const fn runs_by_default(self) -> bool {
                match self { $(Self::$variant => $runs),* }
            }
        }

        impl FromStr for Rule {
            type Err = UnknownRule;

            fn from_str(id: &str) -> Result<Self, UnknownRule> {
                match id { $($id => Ok(Self::$variant),)* unknown => Err(UnknownRule(unknown.to_owned())) }
            }
        }
    };
}

rules! {
    /// One device had so many restores released within an hour.
    RestoreRate "restore_rate" 1 20 true,
    /// One device backed up so many records within an hour.
    WrapRate "wrap_rate" 1 200 true,
    /// So many different records of one user were released within an hour.
    RecordFanout "record_fanout" 1 50 true,
    /// Records of so many different users were released within an hour with one administrator behind them all: who
    /// approved the restore, or made the code that the device enrolled with.
    UserFanout "user_fanout" 1 20 true,
    /// A device had a restore released within so many minutes of its enrolment. Every new phone does; so it is off.
    RestoreAfterEnrolment "restore_after_enrolment" 1 5 false,
    /// A record was released that nobody had backed up or restored for so many days.
    DormantRecord "dormant_record" 1 365 true,
    /// So many refusals within an hour of one restore, device or user, and then a release.
    DenialsThenRelease "denials_then_release" 1 5 true,
    /// So many refused enrolments within an hour from one address, and then one that was not.
    DenialsThenEnrolment "denials_then_enrolment" 1 5 true,
    /// A provider that the log does not know, once the log is so many days old.
    FirstSeenProvider "first_seen_provider" 1 7 true,
    /// An administrator from a network that they did not use before (IPv4 /24, IPv6 /48), likewise.
    FirstSeenNetwork "first_seen_network" 1 7 true,
    /// An administrator with client software that they did not use before, likewise. Every upgrade is; so it is off.
    FirstSeenAgent "first_seen_agent" 1 7 false,
    /// A restore's intent without outcome for so many minutes in which the broker ran.
    IntentWithoutOutcome "intent_without_outcome" 1 10 true,
    /// So many minutes without any event; there is a heartbeat every 15.
    LogSilent "log_silent" 1 20 true,
    /// The clock went back so many times within an hour.
    ClockWentBack "clock_went_back" 1 1 true,
    /// The broker started so many times within an hour.
    FrequentRestarts "frequent_restarts" 1 6 true,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Which rules run, and at which thresholds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(BTreeMap<Rule, u64>);

impl Default for Settings {
    fn default() -> Self {
        let running = Rule::ALL.iter().filter(|rule| rule.runs_by_default());
        Self(running.map(|rule| (*rule, rule.default_threshold())).collect())
    }
}

impl Settings {
    /// One rule, and no other.
    #[must_use]
    pub fn only(rule: Rule, threshold: u64) -> Self {
        Self(BTreeMap::from([(rule, threshold)]))
    }

    /// The same, with this rule running at `threshold`.
    #[must_use]
    pub fn with(mut self, rule: Rule, threshold: u64) -> Self {
        self.0.insert(rule, threshold);
        self
    }

    /// The same, with this rule off.
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Self {
        self.0.remove(&rule);
        self
    }

    /// The threshold of a rule that runs.
    #[must_use]
    pub fn threshold(&self, rule: Rule) -> Option<u64> {
        self.0.get(&rule).copied()
    }

    /// The rules that run, each with its threshold.
    pub fn running(&self) -> impl Iterator<Item = (Rule, u64)> {
        self.0.iter().map(|(rule, threshold)| (*rule, *threshold))
    }
}
