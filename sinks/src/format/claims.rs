use super::{Source, Tally};
use audit::ClearClaims;
use audit::event::{Event, Field, Kind, Outcome};
use serde::Serialize;
use std::net::IpAddr;

/// What a leaf and its disclosures say, in the words of `docs/AUDIT-FORMAT.md`: schemas made for others have no place for
/// all of it.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    index: u64,
    #[serde(flatten)]
    clear: ClearClaims<'a>,
}

impl<'a> Claims<'a> {
    pub(super) fn of(source: &Source<'a>) -> Self {
        Self { index: source.index, clear: ClearClaims::of(source.opened) }
    }
}

/// What a checkpoint message says, in the same words.
#[derive(Serialize)]
pub(super) struct Counts<'a> {
    checkpoint: &'a str,
    size: u64,
    sent: u64,
    filtered: u64,
    dead: u64,
}

impl<'a> Counts<'a> {
    pub(super) fn of(tally: &Tally<'a>) -> Self {
        let Tally { head, note, sent, filtered, dead, .. } = *tally;
        Self { checkpoint: note, size: head.size, sent, filtered, dead }
    }
}

/// What marks a test message.
#[derive(Serialize)]
pub(super) struct Test {
    pub(super) test: bool,
}

/// Who did it: an administrator or the system by name, else the user whose device asked.
pub(super) fn actor(event: &Event) -> Option<&str> {
    event.text(Field::Actor).or(event.text(Field::User))
}

/// `success` or `failure`; a finding is neither, its reason code is the rule.
pub(super) fn outcome(event: &Event) -> Option<&'static str> {
    let outcome = if event.outcome == Outcome::OK { "success" } else { "failure" };
    Some(outcome).filter(|_| event.kind != Kind::FindingRaised)
}

/// The address it came from, where the text is one. Receivers refuse others in a field for addresses.
pub(super) fn address(event: &Event) -> Option<IpAddr> {
    event.text(Field::Ip)?.parse().ok()
}

/// One short sentence: what happened, and if it did not go well why.
pub(super) fn summary(event: &Event) -> String {
    if event.outcome == Outcome::OK {
        event.kind.as_str().to_owned()
    } else {
        format!("{}: {}", event.kind, event.outcome.as_str())
    }
}
