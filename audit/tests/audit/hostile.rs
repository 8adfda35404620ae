//! Whatever comes from outside is refused or read, but panics nothing.

use crate::fixture::{Log, event_key, log_key};
use keyfold_audit::receipt::Receipt;
use keyfold_audit::verify::{Options, verify_dir};
use keyfold_audit::{leaf, note, tile};
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

fn read_all(text: &str) {
    let _ = leaf::open(text, &[text], &[event_key(1).public_key().clone()]);
    let _ = note::open(text, &[log_key(2).verifier().clone()]);
    let _ = note::open_ingress(text, &[log_key(2).verifier().clone()]);
    let _ = note::Verifier::parse(text);
    let _ = Receipt::parse(text).map(|receipt| receipt.verify(text.as_bytes(), &[log_key(2).verifier().clone()]));
    let _ = text.parse::<tile::Path>();
    let _ = tile::entries(text.as_bytes()).count();
}

/// `bytes` with a few of them replaced, then cut.
fn damaged(mut bytes: Vec<u8>, edits: &[(prop::sample::Index, u8)], cut: prop::sample::Index) -> Vec<u8> {
    for (at, byte) in edits {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes.truncate(cut.index(bytes.len() * 2));
    bytes
}

proptest! {
    #[test]
    fn texts_panic_nothing(text in any::<String>(), edits in any::<Vec<(prop::sample::Index, u8)>>(), cut in any::<prop::sample::Index>()) {
        let log = Log::sample(3);
        let receipt = Receipt { index: 1, proof: log.edge().inclusion_of_recent(1).unwrap(), checkpoint: log.checkpoint() };
        read_all(&text);
        let endorsement = log_key(2).endorse_ingress("1", &[7; 32]);
        for valid in [receipt.to_text(), receipt.checkpoint, endorsement, log_key(2).vkey(), "tile/1/x001/067.p/7".into(), log.events[1].leaf.clone()] {
            read_all(&String::from_utf8_lossy(&damaged(valid.into_bytes(), &edits, cut)));
        }
    }

    #[test]
    fn damaged_files_are_refused(
        file in 0usize..6,
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let dir = TempDir::new().unwrap();
        Log::sample(9).export(dir.path());
        let names = ["events.ndjson", "log/checkpoint", "log/vkey", "log/event-keys.json", "log/tile/0/000.p/9", "log/tile/entries/000.p/9"];
        let path = dir.path().join(names[file]);
        let mut bytes = fs::read(&path).unwrap();
        match cut {
            Some(cut) => bytes.truncate(cut.index(bytes.len())),
            None => { let at = at.index(bytes.len()); bytes[at] ^= flip }
        }
        fs::write(&path, &bytes).unwrap();
        let verified = verify_dir(dir.path(), &Options::default());
        // The last byte of `vkey` is a newline, which a reader may go without.
        let same_key = names[file] == "log/vkey" && String::from_utf8_lossy(&bytes).trim_end() == log_key(2).vkey();
        prop_assert!(verified.is_err() || same_key, "{} {verified:?}", names[file]);
    }
}
