//! ArcSight Common Event Format, version 0.

use super::claims::{actor, address, outcome};
use super::{Source, Tally};
use crate::{Message, Severity};
use audit::event::{Event, Field};
use std::fmt::Display;
use std::net::IpAddr;

pub(super) fn event(message: &Message, source: &Source<'_>) -> Vec<u8> {
    let event = &source.opened.event;
    let text = |field| event.text(field);
    let mut line = Line::new(message);
    line.labelled("cn1", "index", Some(source.index));
    line.some("outcome", outcome(event));
    line.add("reason", event.outcome.as_str());
    line.some("suser", actor(event));
    line.some("duser", text(Field::Actor).and(text(Field::User)));
    match address(event) {
        Some(IpAddr::V4(address)) => line.add("src", address),
        Some(IpAddr::V6(address)) => line.labelled("c6a2", "Source IPv6 Address", Some(address)),
        None => line.some("keyfoldIp", text(Field::Ip)),
    }
    line.some("requestClientApplication", text(Field::Agent));
    line.some("msg", text(Field::Reason));
    add_claims(&mut line, event);
    line.text.into_bytes()
}

/// What the format has no key for. The six strings are those that one searches by; the rest bears names of its own.
fn add_claims(line: &mut Line, event: &Event) {
    let text = |field| event.text(field);
    let kek = event.kek.as_ref();
    line.labelled("cs1", "device", text(Field::Device));
    line.labelled("cs2", "record", text(Field::Record));
    line.labelled("cs3", "kek", kek.map(|kek| &kek.id));
    line.labelled("cs4", "provider", event.provider.as_deref());
    line.labelled("cs5", "ticket", text(Field::Ticket));
    line.labelled("cs6", "policy", text(Field::Policy));
    line.labelled("cn2", "kekVersion", kek.map(|kek| kek.version));
    line.some("keyfoldCor", event.correlation);
    line.some("keyfoldProviderRef", text(Field::ProviderRef));
}

pub(super) fn checkpoint(message: &Message, tally: &Tally<'_>) -> Vec<u8> {
    let mut line = Line::new(message);
    for (key, value) in [
        ("keyfoldSize", tally.head.size),
        ("keyfoldSent", tally.sent),
        ("keyfoldFiltered", tally.filtered),
        ("keyfoldDead", tally.dead),
    ] {
        line.add(key, value);
    }
    line.add("keyfoldCheckpoint", tally.note);
    line.text.into_bytes()
}

pub(super) fn test(message: &Message) -> Vec<u8> {
    Line::new(message).text.into_bytes()
}

/// The format's scale: 0 to 3 is low, to 6 medium, to 8 high, to 10 very high.
pub(super) fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 3,
        Severity::Medium => 6,
        Severity::High => 8,
    }
}

struct Line {
    text: String,
}

impl Line {
    /// Header, time, id and log: what every message has.
    fn new(message: &Message) -> Self {
        let Message { id, origin, at_ms, name, .. } = message;
        let (version, severity) = (env!("CARGO_PKG_VERSION"), severity(message.severity));
        let mut line = Self { text: format!("CEF:0|Keyfold|Keyfold|{version}|{name}|{name}|{severity}|rt={at_ms}") };
        line.add("externalId", id);
        line.add("cat", name.split('.').next().unwrap_or(name));
        line.add("keyfoldOrigin", origin);
        line
    }

    fn add(&mut self, key: &str, value: impl Display) {
        self.some(key, Some(value));
    }

    /// Adds what is there and not blank: parsers trip over an empty value.
    fn some(&mut self, key: &str, value: Option<impl Display>) {
        let value = value.map(|value| escaped(&value.to_string()));
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            self.text.extend([" ", key, "=", &*value]);
        }
    }

    /// Adds what is there and not blank, under a key that the format leaves to vendors to name.
    fn labelled(&mut self, key: &str, label: &str, value: Option<impl Display>) {
        let before = self.text.len();
        self.some(key, value);
        if self.text.len() > before {
            self.text.extend([" ", key, "Label=", label]);
        }
    }
}

/// A value of an extension. Newlines are written `\n` and `\r`; other characters that end a line for some reader, and
/// control characters, become spaces, because the format has no way to write them.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '=' => escaped.push_str("\\="),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\u{2028}' | '\u{2029}' => escaped.push(' '),
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}
