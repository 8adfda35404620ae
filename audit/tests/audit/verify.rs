//! Exports: a sound one is accepted, by an outside oracle too; every way of tampering is named with the first bad index.

use crate::fixture::{Log, event, event_key, fault, log_key, oracle};
use keyfold_audit::event::Kind;
use keyfold_audit::export::{ExportError, Exporter};
use keyfold_audit::leaf::LeafError;
use keyfold_audit::note::NoteError;
use keyfold_audit::receipt::Receipt;
use keyfold_audit::tile;
use keyfold_audit::tree::{inclusion_proof, leaf_hash};
use keyfold_audit::verify::{Failure, Fault, Options, PairingError, Report, verify_dir};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use uuid::Uuid;

fn exported(log: &Log) -> TempDir {
    let dir = TempDir::new().unwrap();
    log.export(dir.path());
    dir
}

fn verify(dir: &TempDir) -> Result<Report, Failure> {
    verify_dir(dir.path(), &Options { vkey: Some(&log_key(2).vkey()), ..Options::default() })
}

fn verify_log(log: &Log) -> Result<Report, Failure> {
    verify(&exported(log))
}

macro_rules! assert_fault {
    ($verified:expr, $index:expr, $what:pat) => {
        let (index, what) = fault($verified);
        assert!(index == $index && matches!(what, $what), "{index:?} {what:?}");
    };
}

#[test]
fn a_sound_export_is_accepted_by_us_and_by_the_oracle() {
    let log = Log::sample(603);
    let dir = exported(&log);
    let report = verify(&dir).unwrap();
    assert_eq!((report.checkpoint.size, report.checkpoint.root, report.pinned), (603, log.edge().root(), true));
    assert_eq!((report.released, report.open.len()), (150, 1));
    assert_eq!(report.open[0].index, 602);
    assert_eq!(report.disclosures, log.events.iter().map(|event| event.disclosures.len() as u64).sum::<u64>());

    let mut edge = log.edge();
    let mut tiles: HashMap<_, _> =
        edge.take_full_tiles().into_iter().map(|tile| ((tile.level, tile.index), tile.hashes)).collect();
    tiles.extend(edge.partial_tiles().map(|tile| ((tile.level, tile.index), tile.hashes)));
    let receipt =
        |index| Receipt { index, proof: inclusion_proof(index, 603, &tiles).unwrap(), checkpoint: log.checkpoint() };
    let receipts: HashMap<_, _> =
        [0, 1, 255, 256, 511, 512, 602].map(|index| (index.to_string(), receipt(index).to_text())).into();
    let input = json!({"vkey": log_key(2).vkey(), "receipts": receipts}).to_string();
    let answer: Value = serde_json::from_str(&oracle("audit_tlog.py", &[dir.path()], &input)).unwrap();
    assert_eq!(answer, json!({"origin": "broker.example/acme", "size": 603, "tiles": 4, "bundles": 3}));
}

#[test]
fn an_export_ends_where_a_bundle_ends_or_has_one_event() {
    for size in [1, 255, 256, 257, 512] {
        assert_eq!(verify_log(&Log::sample(size)).unwrap().checkpoint.size, size as u64);
    }
}

/// The files of an export that a forger rewrites.
struct Forger(PathBuf);

impl Forger {
    fn of(dir: &TempDir) -> Self {
        Self(dir.path().to_owned())
    }

    fn entries(&self) -> Vec<Vec<u8>> {
        let bundle = fs::read(self.only("log/tile/entries/000.p")).unwrap();
        tile::entries(&bundle).map(|entry| entry.unwrap().to_vec()).collect()
    }

    fn set_entries(&self, entries: &[Vec<u8>]) {
        let mut bundle = Vec::new();
        entries.iter().for_each(|entry| tile::push_entry(&mut bundle, entry).unwrap());
        fs::write(self.only("log/tile/entries/000.p"), bundle).unwrap();
    }

    /// Makes the lowest tile fit the entries.
    fn fix_tile(&self) {
        let hashes: Vec<_> = self.entries().iter().map(|entry| leaf_hash(entry)).collect();
        fs::write(self.only("log/tile/0/000.p"), hashes.as_flattened()).unwrap();
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.0.join("events.ndjson")).unwrap().lines().map(str::to_owned).collect()
    }

    fn set_lines(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| line.clone() + "\n").collect();
        fs::write(self.0.join("events.ndjson"), text).unwrap();
    }

    fn edit_line(&self, index: usize, edit: impl Fn(&str) -> String) {
        let mut lines = self.lines();
        lines[index] = edit(&lines[index]);
        self.set_lines(&lines);
    }

    fn only(&self, dir: &str) -> PathBuf {
        fs::read_dir(self.0.join(dir)).unwrap().next().unwrap().unwrap().path()
    }
}

fn forged(change: impl Fn(&Forger)) -> Result<Report, Failure> {
    let dir = exported(&Log::sample(20));
    change(&Forger::of(&dir));
    verify(&dir)
}

#[test]
fn swapped_events_are_named() {
    let swap = |files: &Forger| {
        let mut entries = files.entries();
        entries.swap(6, 11);
        files.set_entries(&entries);
    };
    assert_fault!(forged(swap), Some(6), Fault::Tile { level: 0 });
    assert_fault!(
        forged(|files| (swap(files), files.fix_tile()).1),
        Some(6),
        Fault::Leaf(LeafError::UnreferencedDisclosure)
    );

    // With tiles and lines to match, the order is whatever the forger says; the signed root says otherwise.
    let (log, mut swapped) = (Log::sample(20), Log::sample(20));
    swapped.events = log.events.clone();
    swapped.events.swap(8, 12);
    let dir = exported(&swapped);
    fs::write(dir.path().join("log/checkpoint"), log.checkpoint()).unwrap();
    assert_fault!(verify(&dir), None, Fault::Root);
}

#[test]
fn an_altered_leaf_is_named() {
    let alter = |files: &Forger| {
        let mut entries = files.entries();
        let last = entries[7].len() - 10;
        entries[7][last] ^= 1;
        files.set_entries(&entries);
    };
    assert_fault!(forged(alter), Some(7), Fault::Tile { level: 0 });
    let tile_fits = forged(|files| (alter(files), files.fix_tile()).1);
    assert_fault!(tile_fits, Some(7), Fault::Leaf(LeafError::Signature | LeafError::Malformed));
}

#[test]
fn a_removed_tail_is_named() {
    let remove = |files: &Forger| files.set_entries(&files.entries()[..15]);
    assert_fault!(forged(remove), Some(15), Fault::Missing);
    assert_fault!(forged(|files| files.set_lines(&files.lines()[..15])), Some(15), Fault::Line);
    let add = |files: &Forger| files.set_entries(&[files.entries(), vec![b"more".to_vec()]].concat());
    assert_fault!(forged(add), Some(20), Fault::Surplus);
    let add = |files: &Forger| files.set_lines(&[files.lines(), vec!["{}".to_owned()]].concat());
    assert_fault!(forged(add), Some(20), Fault::Surplus);
}

/// Truncate, sign again and go on: what sealed system logs fall for.
#[test]
fn a_log_signed_again_with_another_key_is_refused() {
    let dir = TempDir::new().unwrap();
    let (short, thief) = (Log::sample(15), log_key(66));
    let mut exporter = Exporter::create(dir.path(), thief.verifier().clone()).unwrap();
    for (index, event) in (0..).zip(&short.events) {
        exporter.append(index, &event.leaf, &event.disclosures, None).unwrap();
    }
    exporter.finish(&thief.checkpoint(15, &short.edge().root())).unwrap();
    assert_fault!(verify(&dir), None, Fault::Checkpoint(NoteError::Unsigned));
    let unpinned = verify_dir(dir.path(), &Options::default()).unwrap();
    assert!(!unpinned.pinned, "without the key the export vouches for itself only, and the report says so");
}

#[test]
fn a_log_that_does_not_continue_an_older_checkpoint_is_refused() {
    let (log, key) = (Log::sample(20), log_key(2).vkey());
    let after = |log: &Log, older: &str| {
        verify_dir(exported(log).path(), &Options { vkey: Some(&key), older: Some(older), ..Options::default() })
    };
    let cut = |size: usize| log.cut(size);
    for size in [1, 7, 20] {
        after(&log, &cut(size).checkpoint()).unwrap();
    }
    assert_fault!(after(&cut(15), &log.checkpoint()), Some(15), Fault::Shrunk);
    let fork = cut(7).with(&event(Kind::LogHeartbeat)).with(&event(Kind::LogHeartbeat));
    assert_fault!(after(&log, &fork.checkpoint()), None, Fault::Forked);
    let thief = log_key(66).checkpoint(7, &cut(7).edge().root());
    assert_fault!(after(&log, &thief), None, Fault::OlderCheckpoint(NoteError::Unsigned));
}

#[test]
fn tampered_disclosures_and_lines_are_named() {
    let with = |index: usize, change: fn(&mut Vec<Value>, Value)| {
        forged(move |files| {
            let foreign: Value = serde_json::from_str(&files.lines()[5]).unwrap();
            files.edit_line(index, |line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                change(line["disclosures"].as_array_mut().unwrap(), foreign["disclosures"][0].clone());
                line.to_string()
            });
        })
    };
    assert_fault!(
        with(9, |all, _| all[0] = json!("WyJhIiwiZGV2aWNlIiwiZC0yIl0")),
        Some(9),
        Fault::Leaf(LeafError::UnreferencedDisclosure)
    );
    assert_fault!(with(9, |all, foreign| all.push(foreign)), Some(9), Fault::Leaf(LeafError::UnreferencedDisclosure));
    assert_fault!(with(9, |all, _| all.push(all[0].clone())), Some(9), Fault::Leaf(LeafError::DuplicateDisclosure));
    assert_fault!(with(9, |all, _| drop(all.pop())), Some(9), Fault::Line);
    for (from, to) in [
        ("restore.released", "restore.denied"),
        ("#3", "#2"),
        ("\"index\":3", "\"index\":4"),
        ("2027", "2026"),
        ("d-1", "d-2"),
    ] {
        assert_fault!(forged(|files| files.edit_line(3, |line| line.replacen(from, to, 1))), Some(3), Fault::Line);
    }
    assert_fault!(forged(|files| files.edit_line(3, |line| " ".repeat(1 << 19) + line)), Some(3), Fault::Line);
}

#[test]
fn tampered_tiles_and_keys_are_named() {
    let dir = exported(&Log::sample(600));
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let upper = dir.path().join("log/tile/1/000.p/2");
    flip(&upper, 40);
    assert_fault!(verify(&dir), Some(256), Fault::Tile { level: 1 });
    flip(&upper, 40);
    let keys = dir.path().join("log/event-keys.json");
    flip(&keys, 50);
    assert_fault!(verify(&dir), None, Fault::EventKeys);
    flip(&keys, 50);
    fs::remove_file(dir.path().join("log/tile/0/001")).unwrap();
    assert_fault!(verify(&dir), Some(256), Fault::Tile { level: 0 });
    fs::remove_file(dir.path().join("log/checkpoint")).unwrap();
    assert_fault!(verify(&dir), None, Fault::Unreadable { .. });
}

#[test]
fn only_announced_keys_sign() {
    let stranger = event_key(5);
    let log = Log::sample(6);
    let signed = log.clone().signed_by(&stranger, &event(Kind::LogHeartbeat));
    assert_fault!(verify_log(&signed), Some(6), Fault::Leaf(LeafError::UnknownKey));
    let announce = event(Kind::LogKeyRotated).event_key(stranger.public_key().clone());
    let by_itself = log.clone().signed_by(&stranger, &announce);
    assert_fault!(verify_log(&by_itself), Some(6), Fault::Leaf(LeafError::UnknownKey));
    let rotated = log.clone().with(&announce).signed_by(&stranger, &event(Kind::LogHeartbeat));
    verify_log(&rotated).unwrap();
    let smuggled = log.with(&event(Kind::LogHeartbeat).event_key(stranger.public_key().clone()));
    assert_fault!(verify_log(&smuggled), Some(6), Fault::Announcement);
    let mut headless = Log::opened();
    headless.events.clear();
    assert_fault!(verify_log(&headless.with(&event(Kind::LogHeartbeat))), Some(0), Fault::Leaf(LeafError::UnknownKey));
}

#[test]
fn an_event_is_in_one_log_once() {
    let mut log = Log::sample(6);
    log.events.push(log.events[4].clone());
    assert_fault!(verify_log(&log), Some(6), Fault::Repeated);
    let mut log = Log::sample(6);
    log.stamp.origin = keyfold_audit::Origin::new("broker.example/other").unwrap();
    assert_fault!(verify_log(&log.with(&event(Kind::LogHeartbeat))), Some(6), Fault::OtherLog);
}

#[test]
fn every_release_was_intended_and_every_intent_ends_once() {
    let restore = |kinds: &[Kind]| {
        let cor = Uuid::from_u128(77);
        kinds.iter().fold(Log::opened(), |log, kind| log.with(&event(*kind).correlation(cor)))
    };
    use Kind::{
        RestoreDenied as Denied, RestoreFailed as Failed, RestoreIntent as Intent, RestoreReleased as Released,
    };
    for sound in [&[Denied, Failed, Intent, Failed, Intent, Released, Denied][..], &[Intent, Denied, Intent, Released]]
    {
        verify_log(&restore(sound)).unwrap();
    }
    assert_fault!(verify_log(&restore(&[Released])), Some(1), Fault::Pairing(PairingError::NoIntent));
    assert_fault!(verify_log(&restore(&[Intent, Failed, Released])), Some(3), Fault::Pairing(PairingError::NoIntent));
    assert_fault!(verify_log(&restore(&[Intent, Denied, Released])), Some(3), Fault::Pairing(PairingError::NoIntent));
    assert_fault!(
        verify_log(&restore(&[Intent, Released, Released])),
        Some(3),
        Fault::Pairing(PairingError::SecondOutcome)
    );
    assert_fault!(
        verify_log(&restore(&[Intent, Released, Failed])),
        Some(3),
        Fault::Pairing(PairingError::SecondOutcome)
    );
    assert_fault!(verify_log(&restore(&[Intent, Intent])), Some(2), Fault::Pairing(PairingError::SecondIntent));
    assert_fault!(
        verify_log(&restore(&[Intent, Released, Intent])),
        Some(3),
        Fault::Pairing(PairingError::IntentAfterRelease)
    );
    let other = restore(&[Intent]).with(&event(Released).correlation(Uuid::from_u128(78)));
    assert_fault!(verify_log(&other), Some(2), Fault::Pairing(PairingError::NoIntent));
    assert_fault!(
        verify_log(&Log::opened().with(&event(Released))),
        Some(1),
        Fault::Pairing(PairingError::Uncorrelated)
    );

    let mut late = restore(&[Intent]);
    late.stamp.at_ms += 599_000;
    assert_eq!(verify_log(&late.clone().with(&event(Kind::LogHeartbeat))).unwrap().open.len(), 1);
    late.stamp.at_ms += 1_000;
    assert_fault!(verify_log(&late.with(&event(Kind::LogHeartbeat))), Some(1), Fault::Pairing(PairingError::NoOutcome));
}

#[test]
fn an_export_that_would_not_verify_is_not_completed() {
    let (log, dir) = (Log::sample(5), TempDir::new().unwrap());
    let mut exporter = Exporter::create(dir.path(), log_key(2).verifier().clone()).unwrap();
    let refused = exporter.append(1, &log.events[0].leaf, &[], None);
    assert!(matches!(refused, Err(ExportError::OutOfOrder { expected: 0 })));
    exporter.append(0, &log.events[0].leaf, &[], None).unwrap();
    assert!(matches!(exporter.finish(&log.checkpoint()), Err(ExportError::OtherTree)));
    assert!(!dir.path().join("log/checkpoint").exists());
    let again = Exporter::create(dir.path(), log_key(2).verifier().clone());
    assert!(matches!(again, Err(ExportError::Io(_))));
}
