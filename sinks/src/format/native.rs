use super::{Source, Tally, rfc3339};
use serde::Serialize;

/// A line after `docs/AUDIT-FORMAT.md`, Export.
pub(super) fn event(source: &Source<'_>) -> Vec<u8> {
    audit::line(source.index, source.opened, source.leaf, source.disclosures, source.receipt)
}

pub(super) fn checkpoint(id: &str, tally: &Tally<'_>) -> Vec<u8> {
    let Tally { head, note, at_ms, sent, filtered, dead } = *tally;
    written(&Checkpoint { id, time: rfc3339(at_ms), checkpoint: note, size: head.size, sent, filtered, dead })
}

pub(super) fn test(id: &str, at_ms: u64) -> Vec<u8> {
    written(&Test { id, time: rfc3339(at_ms), test: true })
}

/// The members of a checkpoint, in the order in which they are written.
#[derive(Serialize)]
struct Checkpoint<'a> {
    id: &'a str,
    time: String,
    checkpoint: &'a str,
    size: u64,
    sent: u64,
    filtered: u64,
    dead: u64,
}

/// The members of a test message.
#[derive(Serialize)]
struct Test<'a> {
    id: &'a str,
    time: String,
    test: bool,
}

fn written(line: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(line).expect("invariant: a line is JSON")
}
