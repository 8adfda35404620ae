//! Time zones, as the IANA database that is part of the program has them: no file of the machine decides when offices are open.

use crate::clock::Timestamp as Milliseconds;
use jiff::Timestamp;
use jiff::tz::{self, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A place's clocks, by their name in the IANA time zone database, for example `Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(tz::TimeZone);

/// No name of the IANA time zone database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such time zone")]
pub struct UnknownTimeZone;

impl TimeZone {
    /// Its name, as the database spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().expect("invariant: a zone of the database has its name")
    }

    /// How far its clocks are ahead of UTC then (Unix milliseconds), in whole minutes.
    #[must_use]
    pub fn minutes_ahead(&self, then: Milliseconds) -> i16 {
        let then = Timestamp::from_millisecond(then).unwrap_or(Timestamp::MAX);
        let minutes = self.0.to_offset(then).seconds().div_euclid(60);
        i16::try_from(minutes).expect("invariant: no place is more than 26 hours ahead of UTC")
    }
}

impl TryFrom<String> for TimeZone {
    type Error = UnknownTimeZone;

    fn try_from(name: String) -> Result<Self, UnknownTimeZone> {
        let zone = DATABASE.get(&name).ok().filter(|zone| zone.iana_name().is_some());
        zone.map(Self).ok_or(UnknownTimeZone)
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        zone.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    /// They change their clocks by an hour or by half of one, in spring or in autumn, around Ramadan, no longer, or never did.
    const ZONES: [&str; 8] = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/Santiago",
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "UTC",
    ];

    /// What Python's reader of another copy of the database says.
    fn oracle(asked: &[(&str, i64)]) -> Vec<i16> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let oracles = std::env::var_os("KEYFOLD_ORACLES");
        let oracles = oracles.map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
        let mut python = Command::new(oracles.join("bin/python"));
        let python = python.arg(root.join("tests/oracles/clocks.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = python.spawn().unwrap();
        running.stdin.take().unwrap().write_all(&serde_json::to_vec(asked).unwrap()).unwrap();
        serde_json::from_slice(&running.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn clocks_are_where_python_has_them_on_both_sides_of_each_change() {
        const HALF_AN_HOUR: i64 = 1_800;
        let years = 1_577_836_800..1_767_225_600; // 2020 to 2025.
        let mut asked = Vec::new();
        for zone in ZONES {
            let clocks = TimeZone::try_from(zone.to_owned()).unwrap();
            let mut before = clocks.minutes_ahead(years.start * 1_000);
            asked.push((zone, years.start));
            for seconds in years.clone().step_by(usize::try_from(HALF_AN_HOUR).unwrap()) {
                let ahead = clocks.minutes_ahead(seconds * 1_000);
                if ahead != before {
                    asked.extend([(zone, seconds - 1), (zone, seconds), (zone, seconds + 40 * 86_400)]);
                    before = ahead;
                }
            }
        }
        assert!(asked.len() > 8 + 3 * 60, "{} times", asked.len());
        let own = asked
            .iter()
            .map(|(zone, seconds)| TimeZone::try_from((*zone).to_owned()).unwrap().minutes_ahead(seconds * 1_000));
        assert_eq!(own.collect::<Vec<_>>(), oracle(&asked));
    }

    #[test]
    fn a_name_is_spelled_as_the_database_has_it_or_is_none() {
        assert_eq!(TimeZone::try_from("europe/berlin".to_owned()).unwrap().name(), "Europe/Berlin");
        for name in ["", "Europe/Atlantis", "UTC+1", "Etc/Unknown", "/etc/localtime", "../Europe/Berlin"] {
            assert_eq!(TimeZone::try_from(name.to_owned()), Err(UnknownTimeZone), "{name}");
        }
    }
}
