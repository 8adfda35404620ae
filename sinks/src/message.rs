use crate::taxonomy::Taxonomy;
use audit::Origin;
use audit::event::{Event, Outcome};
use std::borrow::Cow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The last millisecond of the year 9999, after which RFC 3339 has no dates.
const LAST_MS: u64 = 253_402_300_799_999;

/// Something on its way to a receiver, written down in the sink's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `<origin>#<index>` of an event, `<origin>@<size>` of a checkpoint: the same over retries and replays, so that
    /// receivers can remove duplicates by it.
    pub id: String,
    /// The log; its last part is the tenant.
    pub origin: Origin,
    /// What it is, and where in the log.
    pub place: Place,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// The event's dotted name; `log.checkpoint` or `sink.test` for what is no event.
    pub name: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// One line without newline; UTF-8.
    pub body: Vec<u8>,
}

impl Message {
    /// Appends the body as a JSON value: as it is where the format writes objects, else as a string.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        if self.body.starts_with(b"{") {
            out.extend_from_slice(&self.body);
        } else {
            serde_json::to_writer(out, &self.text()).expect("invariant: a string is JSON, and memory takes it");
        }
    }

    /// The body, for receivers that take text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Whose log it is of.
    pub(crate) fn tenant(&self) -> &str {
        let origin = self.origin.as_str();
        origin.rsplit_once('/').map_or(origin, |(_, tenant)| tenant)
    }

    /// [`Message::at_ms`] in UTC.
    pub(crate) fn at(&self) -> OffsetDateTime {
        let nanoseconds = i128::from(self.at_ms.min(LAST_MS)) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).expect("invariant: it is before year 10000")
    }

    /// [`Message::at_ms`] after RFC 3339, in UTC.
    pub(crate) fn time(&self) -> String {
        self.at().format(&Rfc3339).expect("invariant: it is between the years 1970 and 9999, in UTC")
    }
}

/// What a message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The event at this index.
    Event(u64),
    /// The log's first so many events.
    Checkpoint(u64),
    /// Nothing: an operator asked whether messages arrive.
    Test,
}

/// How urgent an event is for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// All is as it should be.
    Informational,
    /// Worth to be seen in the end: somebody was refused.
    Low,
    /// Somebody should look today.
    Medium,
    /// Somebody should look now.
    High,
}

impl Severity {
    /// The word for it, as Microsoft's ASIM and most receivers have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }

    /// By what happened; a refusal or failure is never merely informational.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let least = if event.outcome == Outcome::OK { Self::Informational } else { Self::Low };
        Taxonomy::of(event.kind).severity.max(least)
    }
}
