use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The last second of the year 9999, after which RFC 3339 has no dates.
const LAST: i64 = 253_402_300_799;

/// A second: as unix milliseconds to who makes it, after RFC 3339 in UTC wherever it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// The second that these unix milliseconds are in; before 1970 and after 9999 there is none, and the nearest is taken.
    #[must_use]
    pub fn from_ms(milliseconds: i64) -> Self {
        Self((milliseconds / 1_000).clamp(0, LAST))
    }

    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.unsigned_abs())
    }

    fn date(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0).expect("invariant: it is between the years 1970 and 9999")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let date = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        Ok(Self(date.unix_timestamp().clamp(0, LAST)))
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn is_written_in_utc_and_read_again() {
        let time = Time::from_ms(1_795_426_261_999);
        assert_eq!(time.to_string(), "2026-11-23T09:31:01Z");
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        assert_eq!(Time::from_ms(i64::MIN).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Time::from_ms(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }
}
