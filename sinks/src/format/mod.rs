//! How an event is written down. Every format gives one line of UTF-8 an event, with the event's id.

mod cef;
mod claims;
mod ecs;
mod native;
mod ocsf;

use crate::{Message, Place, Severity};
use audit::Origin;
use audit::leaf::Opened;
use audit::note::Checkpoint;
use audit::receipt::Receipt;
use serde::{Deserialize, Serialize};

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
    /// Open Cybersecurity Schema Framework 1.6.
    Ocsf,
    /// Elastic Common Schema 8.11.
    Ecs,
    /// ArcSight Common Event Format, version 0: the least, and not all that an event says.
    Cef,
}

impl Format {
    /// The message that tells a receiver of this event.
    #[must_use]
    pub fn event(self, source: &Source<'_>) -> Message {
        let Opened { origin, event, .. } = source.opened;
        let message = Message {
            id: origin.event_id(source.index),
            origin: origin.clone(),
            place: Place::Event(source.index),
            at_ms: at_ms(source.opened),
            name: event.kind.as_str(),
            severity: Severity::of(event),
            body: Vec::new(),
        };
        let body = match self {
            Self::Native => native::event(source),
            Self::Ocsf => ocsf::event(&message, source),
            Self::Ecs => ecs::event(&message, source),
            Self::Cef => cef::event(&message, source),
        };
        Message { body, ..message }
    }

    /// The message that tells a receiver how many events it must have, by a head that the log key signed. Its id is
    /// `<origin>@<size>`.
    #[must_use]
    pub fn checkpoint(self, tally: &Tally<'_>) -> Message {
        let Checkpoint { origin, size, .. } = tally.head;
        let message = Message {
            id: format!("{origin}@{size}"),
            origin: origin.clone(),
            place: Place::Checkpoint(*size),
            at_ms: tally.at_ms,
            name: "log.checkpoint",
            severity: Severity::Informational,
            body: Vec::new(),
        };
        let body = match self {
            Self::Native => native::checkpoint(&message, tally),
            Self::Ocsf => ocsf::checkpoint(&message, tally),
            Self::Ecs => ecs::checkpoint(&message, tally),
            Self::Cef => cef::checkpoint(&message, tally),
        };
        Message { body, ..message }
    }

    /// A message that is no event, for an operator who asks whether messages arrive. Its id is
    /// `<origin>@test-<Unix milliseconds>`.
    #[must_use]
    pub fn test(self, origin: &Origin, at_ms: u64) -> Message {
        let message = Message {
            id: format!("{origin}@test-{at_ms}"),
            origin: origin.clone(),
            place: Place::Test,
            at_ms,
            name: "sink.test",
            severity: Severity::Informational,
            body: Vec::new(),
        };
        let body = match self {
            Self::Native => native::test(&message),
            Self::Ocsf => ocsf::test(&message),
            Self::Ecs => ecs::test(&message),
            Self::Cef => cef::test(&message),
        };
        Message { body, ..message }
    }
}

/// Unix milliseconds of the `jti`; of `iat` where that has none.
fn at_ms(opened: &Opened) -> u64 {
    opened.jti.get_timestamp().map_or(opened.iat * 1000, |time| {
        let (seconds, nanoseconds) = time.to_unix();
        seconds * 1000 + u64::from(nanoseconds) / 1_000_000
    })
}

fn json(line: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(line).expect("invariant: a message is JSON")
}
