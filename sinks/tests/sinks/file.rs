//! The file sink: what it confirmed is there, whole, after a crash and over rotations.

use crate::messages::events;
use keyfold_sinks::{Delivery, FileSink, Sink};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// The ids in a file, which must hold whole lines of JSON only.
fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

fn expected(range: Range<u64>) -> Vec<String> {
    events(range).into_iter().map(|message| message.id).collect()
}

#[tokio::test]
async fn a_torn_line_goes_and_delivery_goes_on() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sink.ndjson");
    let mut sink = FileSink::open(&path, u64::MAX).unwrap();
    assert_eq!(sink.delivery(), Delivery::Confirmed);
    sink.deliver(&events(0..3)).await.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&vec![b'x'; 200_000]).unwrap();
    let mut sink = FileSink::open(&path, u64::MAX).unwrap();
    assert_eq!(ids(&path), expected(0..3));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // What an attempt that failed half way leaves behind goes too.
    file.write_all(b"{\"id\":").unwrap();
    sink.deliver(&events(3..8)).await.unwrap();
    assert_eq!(ids(&path), expected(0..8));
}

#[tokio::test]
async fn rotation_loses_and_overwrites_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sink.ndjson");
    for start in [0, 4, 8] {
        // Each run opens the file again, as after a restart.
        let mut sink = FileSink::open(&path, 1).unwrap();
        sink.deliver(&events(start..start + 2)).await.unwrap();
        sink.deliver(&events(start + 2..start + 4)).await.unwrap();
    }
    let rotated = (1..=5).map(|n| dir.path().join(format!("sink.ndjson.{n}")));
    let all: Vec<_> = rotated.chain([path]).flat_map(|path| ids(&path)).collect();
    assert_eq!(all, expected(0..12));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
}
