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
