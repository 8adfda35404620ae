//! How an event is written down. Every format gives one line of UTF-8 an event, with the event's id.

mod native;

use crate::{Message, Place, Severity};
use audit::Origin;
use audit::leaf::Opened;
use audit::note::Checkpoint;
use audit::receipt::Receipt;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An event to be written down: what it says, and what proves it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its place in the log.
    pub index: u64,
    /// What the leaf and the disclosures for this sink say.
    pub opened: &'a Opened,
    /// The signed leaf.
    pub leaf: &'a str,
    /// The disclosures that this sink may see.
    pub disclosures: &'a [String],
    /// Proves the leaf, for sinks that want proofs.
    pub receipt: Option<&'a Receipt>,
}

/// What a sink was given of a log below one of its heads. Nothing is missing when `sent + filtered + dead` is its size.
#[derive(Debug, Clone, Copy)]
pub struct Tally<'a> {
    /// The head.
    pub head: &'a Checkpoint,
    /// The signed note that says so.
    pub note: &'a str,
    /// When it was counted, in Unix milliseconds.
    pub at_ms: u64,
    /// Events that the receiver took.
    pub sent: u64,
    /// Events that this sink is configured not to get.
    pub filtered: u64,
    /// Events that the receiver will never take, or that an operator gave up.
    pub dead: u64,
}

/// A way to write events down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The log's own (`docs/AUDIT-FORMAT.md`): leaf, disclosures, and in clear what they say. The only one that proves.
    #[default]
    Native,
}

impl Format {
    /// The message that tells a receiver of this event.
    #[must_use]
    pub fn event(self, source: &Source<'_>) -> Message {
        let Opened { origin, event, .. } = source.opened;
        Message {
            id: origin.event_id(source.index),
            origin: origin.clone(),
            place: Place::Event(source.index),
            at_ms: at_ms(source.opened),
            name: event.kind.as_str(),
            severity: Severity::of(event),
            body: match self {
                Self::Native => native::event(source),
            },
        }
    }

    /// The message that tells a receiver how many events it must have, by a head that the log key signed. Its id is
    /// `<origin>@<size>`.
    #[must_use]
    pub fn checkpoint(self, tally: &Tally<'_>) -> Message {
        let Checkpoint { origin, size, .. } = tally.head;
        let id = format!("{origin}@{size}");
        let body = match self {
            Self::Native => native::checkpoint(&id, tally),
        };
        let (place, name) = (Place::Checkpoint(*size), "log.checkpoint");
        Message { id, origin: origin.clone(), place, at_ms: tally.at_ms, name, severity: Severity::Informational, body }
    }

    /// A message that is no event, for an operator who asks whether messages arrive. Its id is
    /// `<origin>@test-<Unix milliseconds>`.
    #[must_use]
    pub fn test(self, origin: &Origin, at_ms: u64) -> Message {
        let id = format!("{origin}@test-{at_ms}");
        let body = match self {
            Self::Native => native::test(&id, at_ms),
        };
        let (place, name) = (Place::Test, "sink.test");
        Message { id, origin: origin.clone(), place, at_ms, name, severity: Severity::Informational, body }
    }
}

/// Unix milliseconds of the `jti`; of `iat` where that has none.
fn at_ms(opened: &Opened) -> u64 {
    opened.jti.get_timestamp().map_or(opened.iat * 1000, |time| {
        let (seconds, nanoseconds) = time.to_unix();
        seconds * 1000 + u64::from(nanoseconds) / 1_000_000
    })
}

/// RFC 3339 in UTC, with milliseconds where there are any. What is after the year 9999 becomes its end.
fn rfc3339(at_ms: u64) -> String {
    const LAST_MS: u64 = 253_402_300_799_999;
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms.min(LAST_MS)) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.expect("invariant: a time before the year 10000 has a date")
}
