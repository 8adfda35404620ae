//! Messages to deliver.

use audit::Origin;
use keyfold_sinks::{Message, Place, Severity};
use std::ops::Range;

/// Events of one log, whose bodies are small JSON objects with their id.
pub(crate) fn events(range: Range<u64>) -> Vec<Message> {
    events_of("broker.example/acme", range)
}

/// The same, of the log with this name.
pub(crate) fn events_of(origin: &str, range: Range<u64>) -> Vec<Message> {
    let origin = Origin::new(origin).unwrap();
    let message = |index: u64| Message {
        id: origin.event_id(index),
        origin: origin.clone(),
        place: Place::Event(index),
        at_ms: 1_800_000_000_000 + index * 1000,
        name: "record.wrapped",
        severity: Severity::Informational,
        body: serde_json::to_vec(&serde_json::json!({"id": origin.event_id(index), "index": index})).unwrap(),
    };
    range.map(message).collect()
}

/// What a sink is told of the first so many events of the same log.
pub(crate) fn checkpoint(size: u64) -> Message {
    let origin = Origin::new("broker.example/acme").unwrap();
    let id = format!("{origin}@{size}");
    Message {
        body: serde_json::to_vec(&serde_json::json!({"id": id, "size": size})).unwrap(),
        id,
        origin,
        place: Place::Checkpoint(size),
        at_ms: 1_800_000_000_000 + size * 1000,
        name: "log.checkpoint",
        severity: Severity::Informational,
    }
}
