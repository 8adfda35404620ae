//! The queries of `docs/siem`, executed on what sinks deliver where an engine for them can be had, else parsed.

use crate::oracle::ask;
use audit::Origin;
use audit::event::{Event, Kind, Outcome};
use audit::leaf::{EventKey, Stamp, read};
use audit::note::Checkpoint;
use keyfold_sinks::{Format, Message, Place, Source, Tally};
use secret::Secret;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// What `siem_queries.py` executes or parses.
const CHECKED: [&str; 6] = ["sql", "kql", "esql", "yaral", "json", "xml"];

/// The indices of [`unwell`] that are not delivered.
const MISSING: [u64; 4] = [4, 7, 8, 9];

/// What happened so many milliseconds ago, in the order of the log.
type Story = Vec<(u64, Event)>;

/// Just below what every rule looks for.
fn well() -> Story {
    let mut story = vec![(30 * DAY, event(Kind::LogOpened))];
    story.extend((0..50).map(|n| (20 * DAY, wrapped(&format!("u{n}"), "aws"))));
    story.extend((0..4).map(|_| (50 * MINUTE, denied("calm"))));
    story.push((40 * MINUTE, released("u", "calm", 50)));
    story
}

/// Something for every rule.
fn unwell() -> Story {
    let mut story = vec![(500 * DAY, event(Kind::LogOpened)), (400 * DAY, wrapped("v0", "aws"))];
    story.extend((0..10).map(|_| (10 * DAY, event(Kind::LogHeartbeat))));
    story.extend((0..5).map(|_| (50 * MINUTE, denied("stolen"))));
    story.push((40 * MINUTE, released("v", "stolen", 1)));
    story.push((30 * MINUTE, released("w", "busy", 51)));
    story.push((20 * MINUTE, wrapped("x", "unheard-of")));
    story
}

fn event(kind: Kind) -> Event {
    Event::new(kind, Outcome::OK)
}

fn wrapped(record: &str, provider: &str) -> Event {
    event(Kind::RecordWrapped).record(record).provider(provider)
}

fn denied(device: &str) -> Event {
    Event::new(Kind::RestoreDenied, Outcome::from_static("policy_denied")).device(device)
}

fn released(user: &str, device: &str, records: u64) -> Event {
    let records: Vec<_> = (0..records).map(|n| format!("{user}{n}")).collect();
    event(Kind::RestoreReleased).user(user).device(device).record(records.join(" "))
}

fn ago(ms: u64) -> u64 {
    let at = SystemTime::now() - Duration::from_millis(ms);
    at.duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// What a sink delivers of the story.
fn delivered(origin: &Origin, story: &Story) -> Vec<Message> {
    let key = EventKey::from_seed(&Secret::copied_from(&[1; 32])).unwrap();
    let message = |(index, (ms, event)): (u64, &(u64, Event))| {
        let stamp = Stamp { origin: origin.clone(), boot: Uuid::from_u128(7), at_ms: ago(*ms) };
        let signed = event.sign(&stamp, &key);
        let opened = read(&signed.leaf, &signed.disclosures).unwrap();
        let (leaf, disclosures) = (&signed.leaf, &signed.disclosures);
        Format::Native.event(&Source { index, opened: &opened, leaf, disclosures, receipt: None })
    };
    (0..).zip(story).map(message).collect()
}

fn checkpoint(origin: &Origin, size: u64, dead: u64, at_ms: u64) -> Message {
    let head = Checkpoint { origin: origin.clone(), size, root: [0; 32] };
    Format::Native.checkpoint(&Tally { head: &head, note: "a note", at_ms, sent: size - dead, filtered: 0, dead })
}

/// Two logs: `acme` is ill, `quiet` is well.
fn messages() -> Vec<Message> {
    let quiet = Origin::new("broker.example/quiet").unwrap();
    let acme = Origin::new("broker.example/acme").unwrap();
    let mut messages = delivered(&quiet, &well());
    messages.push(checkpoint(&quiet, messages.len() as u64, 0, ago(16 * MINUTE)));
    let events = delivered(&acme, &unwell());
    let size = events.len() as u64 + 2;
    messages
        .extend(events.into_iter().filter(|event| !MISSING.iter().any(|index| event.place == Place::Event(*index))));
    messages.push(checkpoint(&acme, size, 1, ago(21 * MINUTE)));
    // What arrives twice is counted once.
    messages.extend_from_within(3..9);
    messages
}

/// A row of the sink `sentinel`, with the columns of `docs/SINKS.md`.
fn row(message: &Message) -> Value {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(message.at_ms) * 1_000_000).unwrap();
    let index = if let Place::Event(index) = message.place { Some(index) } else { None };
    json!({
        "TimeGenerated": at.format(&Rfc3339).unwrap(),
        "EventId": message.id,
        "Origin": message.origin.as_str(),
        "Tenant": message.origin.tenant(),
        "EventIndex": index,
        "EventName": message.name,
        "EventSeverity": "Low",
        "Body": str::from_utf8(&message.body).unwrap(),
    })
}

/// The blocks of a page: under which heading, in which language, and what they say.
fn queries(page: &str) -> Vec<(&str, &str, &str)> {
    let mut found = Vec::new();
    let mut heading = "";
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("\n```") {
        heading = before.lines().filter_map(|line| line.strip_prefix("## ")).next_back().unwrap_or(heading);
        let (text, after) = after.split_once("\n```").unwrap();
        let (language, text) = text.split_once('\n').unwrap();
        found.push((heading, language, text));
        rest = after;
    }
    found
}

/// What a query under this heading must give, whatever the engine: the values of each row, sorted, without times. Nothing under one that
/// is not known here.
fn expected(heading: &str) -> Vec<Vec<&'static str>> {
    let (acme, quiet) = ("broker.example/acme", "broker.example/quiet");
    match heading {
        "Missing indices" => vec![vec!["4", "4", acme], vec!["7", "9", acme]],
        // Of 22, one is dead and 16 are there.
        "Complete up to the checkpoint" => {
            vec![vec!["0", "1", "16", "22", "5", acme], vec!["0", "0", "0", "56", "56", quiet]]
        }
        "Rule: restore fan-out" => vec![vec!["51", "w"]],
        "Rule: denied, then released" => vec![vec!["5", "stolen"]],
        "Rule: dormant record" => vec![vec!["v0"]],
        "Rule: first-seen provider" => vec![vec![acme, "unheard-of"]],
        "Rule: checkpoint missing" => vec![vec![acme]],
        _ => Vec::new(),
    }
}

fn without_times(row: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut values: Vec<_> = row.as_object().unwrap().values().map(text).filter(|text| !text.contains(':')).collect();
    values.sort();
    values
}

#[test]
fn queries_find_what_is_wrong_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/siem");
    let pages = fs::read_dir(folder).unwrap().map(|page| fs::read_to_string(page.unwrap().path()).unwrap());
    let pages: Vec<_> = pages.collect();
    let queries: Vec<_> =
        pages.iter().flat_map(|page| queries(page)).filter(|query| CHECKED.contains(&query.1)).collect();
    let messages = messages();
    let line = |message: &Message| str::from_utf8(&message.body).unwrap().to_owned();
    let query = |(_, language, text): &(&str, &str, &str)| json!({"language": language, "text": text});
    let answers = ask(
        "siem_queries.py",
        &json!({
            "lines": messages.iter().map(line).collect::<Vec<_>>(),
            "rows": messages.iter().map(row).collect::<Vec<_>>(),
            "queries": queries.iter().map(query).collect::<Vec<_>>(),
        }),
    );
    let mut executed = BTreeSet::new();
    for ((heading, language, _), answer) in queries.iter().zip(answers.as_array().unwrap()) {
        let Some(rows) = answer.as_array() else { continue };
        let rows: Vec<_> = rows.iter().map(without_times).collect();
        assert_eq!(rows, expected(heading), "{heading} in {language}");
        executed.insert((*heading, *language));
    }
    assert_eq!(executed.len(), 14, "seven queries, by two engines: {executed:?}");
}
