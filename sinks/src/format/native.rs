use super::claims::{Counts, Test};
use super::{Source, Tally, json};
use crate::Message;
use serde::Serialize;

/// A line after `docs/AUDIT-FORMAT.md`, Export.
pub(super) fn event(source: &Source<'_>) -> Vec<u8> {
    audit::line(source.index, source.opened, source.leaf, source.disclosures, source.receipt)
}

pub(super) fn checkpoint(message: &Message, tally: &Tally<'_>) -> Vec<u8> {
    line(message, Counts::of(tally))
}

pub(super) fn test(message: &Message) -> Vec<u8> {
    line(message, Test { test: true })
}

fn line(message: &Message, content: impl Serialize) -> Vec<u8> {
    json(&Line { id: &message.id, time: message.time(), content })
}

/// A line that is no event's.
#[derive(Serialize)]
struct Line<'a, C> {
    id: &'a str,
    time: String,
    #[serde(flatten)]
    content: C,
}
