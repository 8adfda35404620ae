//! What a receiver exports of a log: whole lines in any order, as often as they come, and anything in between.
//!
//! `which(1)*`: below 6 a line of the log, 6 and above the rest of the input as lines of its own.
#![no_main]

use audit::{
    event::{Event, Kind, Outcome},
    leaf::read,
    line,
    tree::{Edge, leaf_hash},
    verify::Deliveries,
};
use keyfold_fuzz::{event_key, log_key, signed};
use libfuzzer_sys::fuzz_target;
use std::{collections::BTreeSet, sync::LazyLock};

const EVENTS: u8 = 5;

/// The events, and the checkpoint over them, each as a sink's message.
static LINES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (key, mut edge, mut lines) = (event_key(1), Edge::new(), Vec::new());
    let opened = Event::new(Kind::LogOpened, Outcome::OK).event_key(key.public_key().clone());
    let denied = || Event::new(Kind::RestoreDenied, Outcome::from_static("policy_denied")).reason("no");
    for (index, event) in (0..).zip([opened, denied(), denied(), denied(), denied()]) {
        let event = signed(index, &event, &key);
        edge.append(leaf_hash(event.leaf.as_bytes()));
        let says = read(&event.leaf, &event.disclosures).expect("it was signed here");
        lines.push(line(index, &says, &event.leaf, &event.disclosures, None));
    }
    let note = log_key().checkpoint(edge.size(), &edge.root());
    let size = edge.size();
    let head = serde_json::json!({"id": format!("broker.example/acme@{size}"), "checkpoint": note, "size": size,
        "sent": size, "filtered": 0, "dead": 0});
    lines.push(head.to_string().into_bytes());
    lines
});

fuzz_target!(|data: &[u8]| {
    let chosen = data.iter().position(|which| *which > EVENTS).unwrap_or(data.len());
    let (chosen, raw) = data.split_at(chosen);
    let lines = chosen.iter().map(|which| &LINES[usize::from(*which)]);
    let mut exported: Vec<u8> = lines.flat_map(|line| [line, &b"\n"[..]].concat()).collect();
    exported.extend(raw.iter().skip(1));
    let folder = tempfile::tempdir().expect("a folder");
    let mut deliveries = Deliveries::of(log_key().verifier().clone(), folder.path().to_owned());
    if deliveries.read(&exported[..]).is_ok()
        && let Ok(report) = deliveries.verify(true)
        && raw.is_empty()
    {
        // Nobody else has the keys: what is complete has every event, and the checkpoint that says how many.
        assert_eq!(report.events, u64::from(EVENTS));
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), LINES.len());
    }
});
