//! How an event is written down. Every format gives one line of UTF-8 an event, with the event's id.

mod native;

use crate::{Message, Place, Severity};
use audit::leaf::Opened;
use audit::receipt::Receipt;
use serde::Deserialize;

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
        let Opened { origin, jti, iat, event, .. } = source.opened;
        Message {
            id: origin.event_id(source.index),
            origin: origin.clone(),
            place: Place::Event(source.index),
            at_ms: jti.get_timestamp().map_or(iat * 1000, |time| {
                let (seconds, nanoseconds) = time.to_unix();
                seconds * 1000 + u64::from(nanoseconds) / 1_000_000
            }),
            name: event.kind.as_str(),
            severity: Severity::of(event),
            body: match self {
                Self::Native => native::event(source),
            },
        }
    }
}
