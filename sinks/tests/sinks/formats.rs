//! Formats, against schemas and parsers that others wrote.

use crate::oracle::{ask, ask_ecs};
use audit::Origin;
use audit::event::{Event, Exposure, Field, Kind, Outcome};
use audit::leaf::{EventKey, Opened, Stamp, read};
use audit::note::{Checkpoint, LogKey};
use audit::tree::Edge;
use keyfold_sinks::{Format, Message, Place, Severity, Source, Tally};
use proptest::prelude::*;
use secret::Secret;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

const AT_MS: u64 = 1_800_000_000_123;

/// Texts that break what splits, escapes or parses without care.
const HOSTILE: [&str; 14] = [
    "a|b=c\\d",
    "two\nlines\r\nand a third",
    "ends with a backslash \\",
    "=",
    "\\=",
    "suser=root cs1=x",
    "CEF:0|x|y|1|z|z|9|suser=root",
    "C:\\new\\return",
    "\u{2028}\u{2029}\u{85}\u{b}\u{c}",
    "\0\t\u{1b}[31m",
    "\"quoted\", {\"json\": [1]}",
    "🔑 schlüssel",
    " ",
    "999.1.1.1",
];

fn origin() -> Origin {
    Origin::new("broker.example/acme").unwrap()
}

/// An event as a sink gets it: signed, and read back with all disclosures or none.
struct Signed {
    index: u64,
    opened: Opened,
    leaf: String,
    disclosures: Vec<String>,
}

impl Signed {
    fn new(index: u64, event: &Event, disclosed: bool) -> Self {
        let stamp = Stamp { origin: origin(), boot: Uuid::from_u128(7), at_ms: AT_MS };
        let key = EventKey::from_seed(&Secret::copied_from(&[1; 32])).unwrap();
        let signed = event.sign(&stamp, &key);
        let disclosures = if disclosed { signed.disclosures } else { Vec::new() };
        Self { index, opened: read(&signed.leaf, &disclosures).unwrap(), leaf: signed.leaf, disclosures }
    }

    fn as_message(&self, format: Format) -> Message {
        let Self { index, opened, leaf, disclosures } = self;
        format.event(&Source { index: *index, opened, leaf, disclosures, receipt: None })
    }
}

/// An event about which everything is known, each text with a mark of its own.
fn full(kind: Kind, outcome: &Outcome) -> Event {
    let event = Event::new(kind, outcome.clone())
        .kek("kek-1", 3)
        .provider("aws-kms")
        .correlation(Uuid::from_u128(9))
        .policy_digest([9; 32])
        .exposure(Exposure::PlaintextInBroker);
    let event = Field::ALL.into_iter().fold(event, |event, field| event.with_text(field, secret_text(field)));
    event.ip("2001:db8::7")
}

fn secret_text(field: Field) -> String {
    format!("the-{}-text", field.as_str())
}

/// Every kind, done and refused; with everything known and shown, withheld, hostile, or absent.
fn every_event() -> Vec<Signed> {
    let outcomes = [Outcome::OK, Outcome::from_static("policy_denied")];
    let mut events = Vec::new();
    for (kind, outcome) in Kind::ALL.iter().flat_map(|kind| outcomes.iter().map(move |outcome| (*kind, outcome))) {
        let known = full(kind, outcome);
        let hostile = Field::ALL.into_iter().enumerate().fold(known.clone(), |event, (at, field)| {
            event.with_text(field, HOSTILE[(events.len() + at) % HOSTILE.len()])
        });
        let variants = [(&known, true), (&known, false), (&hostile, true), (&Event::new(kind, outcome.clone()), true)];
        for (event, disclosed) in variants {
            events.push(Signed::new(events.len() as u64, event, disclosed));
        }
    }
    events
}

/// A checkpoint message and a test message.
fn others(format: Format) -> [Message; 2] {
    let mut edge = Edge::new();
    (0..1000_u64).for_each(|leaf| edge.append(audit::tree::leaf_hash(&leaf.to_be_bytes())));
    let key = LogKey::from_seed(&origin(), &Secret::copied_from(&[2; 32])).unwrap();
    let note = key.checkpoint(1000, &edge.root());
    let head = Checkpoint { origin: origin(), size: 1000, root: edge.root() };
    let tally = Tally { head: &head, note: &note, at_ms: AT_MS, sent: 900, filtered: 98, dead: 2 };
    [format.checkpoint(&tally), format.test(&origin(), AT_MS)]
}

/// All messages of a format.
fn messages(format: Format) -> Vec<Message> {
    every_event().iter().map(|event| event.as_message(format)).chain(others(format)).collect()
}

/// The lines that are sent for them.
fn lines(messages: &[Message]) -> Value {
    let line = |message: &Message| str::from_utf8(&message.body).unwrap().to_owned();
    messages.iter().map(line).inspect(|line| assert!(!line.contains('\n'), "{line}")).collect()
}

#[test]
fn every_event_is_valid_ocsf() {
    let messages = messages(Format::Ocsf);
    let told = ask("ocsf_events.py", &lines(&messages));
    assert_eq!(told["events"], json!(messages.len()));
    let classes: BTreeSet<_> = told["classes"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(classes, BTreeSet::from(["1008", "2004", "3001", "3004", "6003"]));
}

#[test]
fn every_event_is_valid_ecs() {
    let messages = messages(Format::Ecs);
    assert_eq!(ask_ecs(&lines(&messages)), json!({"version": "8.11.0", "documents": messages.len()}));
}

#[test]
fn every_event_parses_as_cef() {
    let messages = messages(Format::Cef);
    let parsed = ask("cef_events.py", &lines(&messages));
    let parsed = parsed.as_array().unwrap();
    assert_eq!(parsed.len(), messages.len());
    for (message, parsed) in messages.iter().zip(parsed) {
        assert_eq!(
            (&parsed["externalId"], &parsed["keyfoldOrigin"]),
            (&json!(message.id), &json!("broker.example/acme"))
        );
        assert_eq!((&parsed["deviceEventClassId"], &parsed["rt"]), (&json!(message.name), &json!(AT_MS.to_string())));
        if let Place::Event(index) = message.place {
            assert_eq!((&parsed["cn1"], &parsed["cn1Label"]), (&json!(index.to_string()), &json!("index")));
        }
    }
    let known = &parsed[0];
    for (key, value) in [
        ("suser", "the-actor-text"),
        ("duser", "the-user-text"),
        ("cs1", "the-device-text"),
        ("cs2", "the-record-text"),
        ("cs3", "kek-1"),
        ("cs4", "aws-kms"),
        ("cs5", "the-ticket-text"),
        ("cs6", "the-policy-text"),
        ("cn2", "3"),
        ("msg", "the-reason-text"),
        ("c6a2", "2001:db8::7"),
        ("requestClientApplication", "the-agent-text"),
        ("keyfoldProviderRef", "the-provider_ref-text"),
    ] {
        assert_eq!(known[key], value, "{key}");
    }
    let checkpoint = &parsed[parsed.len() - 2];
    assert_eq!((&checkpoint["keyfoldSize"], &checkpoint["keyfoldDead"]), (&json!("1000"), &json!("2")));
    assert!(checkpoint["keyfoldCheckpoint"].as_str().unwrap().starts_with("broker.example/acme\n1000\n"));
}

proptest! {
    // Each case is a process: few cases of many texts.
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn texts_come_through_cef_as_they_were(texts in prop::collection::vec("[a-z =|\\\\\\n\\r\"\\[\\]#%é🔑\\u{0}-\\u{1f}\\u{2028}]{0,12}", 200)) {
        let texts: Vec<_> = texts.iter().map(String::as_str).chain(HOSTILE).collect();
        let event = |text: &str| Event::new(Kind::RestoreDenied, Outcome::OK).reason(text).record(text).device("last");
        let messages: Vec<_> =
            (0..).zip(&texts).map(|(index, text)| Signed::new(index, &event(text), true).as_message(Format::Cef)).collect();
        let parsed = ask("cef_events.py", &lines(&messages));
        for (text, parsed) in texts.iter().zip(parsed.as_array().unwrap()) {
            let spaced = text.replace(|c: char| c.is_control() && c != '\n' && c != '\r' || c == '\u{2028}' || c == '\u{2029}', " ");
            let expected = if spaced.trim_matches(' ').is_empty() { Value::Null } else { json!(spaced) };
            prop_assert_eq!((&parsed["msg"], &parsed["cs2"]), (&expected, &expected), "{:?}", text);
            prop_assert_eq!(&parsed["cs1"], "last");
        }
    }
}

#[test]
fn what_is_withheld_is_in_no_format() {
    for format in [Format::Native, Format::Ocsf, Format::Ecs, Format::Cef] {
        for kind in Kind::ALL {
            let message = Signed::new(5, &full(*kind, &Outcome::OK), false).as_message(format);
            let body = String::from_utf8(message.body).unwrap();
            let shown = Field::ALL.into_iter().find(|field| body.contains(&secret_text(*field)));
            assert_eq!((shown, body.contains("2001:db8")), (None, false), "{kind} {format:?}");
            assert!(body.contains("broker.example/acme#5"), "{kind} {format:?}");
        }
    }
}

#[test]
fn a_refusal_is_never_merely_informational() {
    for kind in Kind::ALL {
        assert!(Severity::of(&Event::new(*kind, Outcome::from_static("x"))) >= Severity::Low, "{kind}");
    }
}

#[test]
fn a_finding_is_an_alert_and_no_failure() {
    let event = Event::new(Kind::FindingRaised, Outcome::from_static("dormant_record"));
    let body = |format| serde_json::from_slice::<Value>(&Signed::new(3, &event, true).as_message(format).body).unwrap();
    let ecs = body(Format::Ecs);
    assert_eq!((&ecs["event"]["kind"], &ecs["rule"]["id"]), (&json!("alert"), &json!("dormant_record")));
    assert_eq!((&ecs["event"]["outcome"], &ecs["event"]["reason"]), (&Value::Null, &Value::Null));
    let ocsf = body(Format::Ocsf);
    assert_eq!((&ocsf["status_id"], &ocsf["finding_info"]["analytic"]["uid"]), (&json!(1), &json!("dormant_record")));
}
