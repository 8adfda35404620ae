//! Offline verification of an export whose maker signs what the input says, and alters files.
//!
//! `count(1) || count * (kind(1), correlation(1), flags(1)) || edits`, an edit being `file(1) || length(2) || content`.
#![no_main]

use audit::{
    event::{Event, Kind, Outcome},
    export::Exporter,
    leaf::EventKey,
    note::LogKey,
    tile::entries,
    tree::{Edge, leaf_hash},
    verify::{Options, verify_dir},
};
use keyfold_fuzz::{event_key, log_key, signed};
use libfuzzer_sys::fuzz_target;
use std::{fs, path::Path, sync::LazyLock};
use uuid::Uuid;

const KEY_2_SIGNS: u8 = 1;
const ANNOUNCES_KEY_2: u8 = 2;
const DISCLOSES: u8 = 4;
const REFUSED: u8 = 8;
/// After the edits, tree and checkpoint are made to fit the entries that are there.
const RESIGN: u8 = 0x80;

static KEYS: LazyLock<[EventKey; 2]> = LazyLock::new(|| [event_key(1), event_key(2)]);
static LOG_KEY: LazyLock<LogKey> = LazyLock::new(log_key);

fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let Some((events, edits)) = rest.split_at_checked(3 * usize::from(count % 64)) else { return };
    let events = events.as_chunks().0;
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let checkpoint = export(dir, events);
    let resigned = alter(dir, edits, events.len() + 1);
    let vkey = LOG_KEY.vkey();
    if let Ok(report) = verify_dir(dir, &Options { vkey: Some(&vkey), older: None, cosigners: &[] })
        && !resigned
    {
        assert_eq!(LOG_KEY.checkpoint(report.checkpoint.size, &report.checkpoint.root), checkpoint);
        assert!(every_release_was_intended(events));
    }
});

fn every_release_was_intended(events: &[[u8; 3]]) -> bool {
    let is = |[kind, ..]: &[u8; 3], wanted| Kind::ALL[usize::from(*kind) % Kind::ALL.len()] == wanted;
    let intended = |(at, [_, correlation, _]): (usize, &[u8; 3])| {
        events[..at].iter().any(|event| is(event, Kind::RestoreIntent) && event[1] == *correlation)
    };
    events.iter().enumerate().filter(|(_, event)| is(event, Kind::RestoreReleased)).all(intended)
}

/// Exports a log that opens as it should and goes on as the input says; gives its checkpoint.
fn export(dir: &Path, events: &[[u8; 3]]) -> String {
    let mut exporter = Exporter::create(dir, LOG_KEY.verifier().clone()).expect("an export starts");
    let mut edge = Edge::new();
    let opened = Event::new(Kind::LogOpened, Outcome::OK).event_key(KEYS[0].public_key().clone());
    let opened = (opened, &KEYS[0], true);
    for (index, (event, key, discloses)) in (0..).zip(std::iter::once(opened).chain(events.iter().map(event))) {
        let event = signed(index, &event, key);
        edge.append(event.hash());
        let disclosures = if discloses { event.disclosures } else { Vec::new() };
        exporter.append(index, &event.leaf, &disclosures, None).expect("a signed event is exported");
    }
    let checkpoint = LOG_KEY.checkpoint(edge.size(), &edge.root());
    exporter.finish(&checkpoint).expect("an export ends");
    checkpoint
}

fn event(&[kind, correlation, flags]: &[u8; 3]) -> (Event, &'static EventKey, bool) {
    let outcome = if flags & REFUSED == 0 { Outcome::OK } else { Outcome::from_static("refused") };
    let mut event = Event::new(Kind::ALL[usize::from(kind) % Kind::ALL.len()], outcome).reason("a reason");
    if correlation > 0 {
        event = event.correlation(Uuid::from_u128(correlation.into()));
    }
    if flags & ANNOUNCES_KEY_2 > 0 {
        event = event.event_key(KEYS[1].public_key().clone());
    }
    (event, &KEYS[usize::from(flags & KEY_2_SIGNS)], flags & DISCLOSES > 0)
}

/// Says whether tree and checkpoint were made to fit what was altered.
fn alter(dir: &Path, mut edits: &[u8], count: usize) -> bool {
    let mut resign = false;
    while let Some((&[file, high, low], rest)) = edits.split_first_chunk() {
        let (content, after) = rest.split_at(rest.len().min(u16::from_be_bytes([high, low]).into()));
        fs::write(dir.join(name(file, count)), content).expect("the file is written");
        resign |= file & RESIGN > 0;
        edits = after;
    }
    if resign {
        sign_again(dir, count);
    }
    resign
}

fn name(file: u8, count: usize) -> String {
    match file % 6 {
        0 => "events.ndjson".into(),
        1 => "log/checkpoint".into(),
        2 => "log/vkey".into(),
        3 => "log/event-keys.json".into(),
        4 => format!("log/tile/0/000.p/{count}"),
        5.. => format!("log/tile/entries/000.p/{count}"),
    }
}

/// What the log's own operator can do: any entries, in a tree and under a checkpoint that fit them.
fn sign_again(dir: &Path, count: usize) {
    let bundle = fs::read(dir.join(name(5, count))).expect("the export has entries");
    let mut edge = Edge::new();
    entries(&bundle).flatten().take(255).for_each(|entry| edge.append(leaf_hash(entry)));
    fs::write(dir.join(format!("log/tile/entries/000.p/{}", edge.size())), bundle).expect("the bundle is written");
    for tile in edge.partial_tiles() {
        let path = format!("log/tile/0/000.p/{}", tile.id().width);
        fs::write(dir.join(path), tile.bytes()).expect("the tile is written");
    }
    fs::write(dir.join(name(1, count)), LOG_KEY.checkpoint(edge.size(), &edge.root())).expect("the note is written");
}
