//! The file sink: what it confirmed is there, whole, after a crash and over rotations.

use crate::fixture::Log;
use keyfold_audit::sink::{Delivered, Delivery, FileSink, Sink, SinkError};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn batch(log: &Log, range: std::ops::Range<usize>) -> Vec<Delivered> {
    let delivered = |index: usize| {
        let event = &log.events[index];
        let (leaf, disclosures) = (event.leaf.clone(), event.disclosures.clone());
        Delivered { origin: log.stamp.origin.clone(), index: index as u64, leaf, disclosures }
    };
    range.map(delivered).collect()
}

/// The ids in a file, which must hold whole lines of JSON only.
fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

fn expected(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|index| format!("broker.example/acme#{index}")).collect()
}

#[tokio::test]
async fn lines_equal_those_of_an_export() {
    let (log, dir) = (Log::sample(8), TempDir::new().unwrap());
    let path = dir.path().join("sink.ndjson");
    let mut sink = FileSink::open(&path, u64::MAX).unwrap();
    assert_eq!(sink.delivery(), Delivery::Confirmed);
    sink.deliver(&batch(&log, 0..3)).await.unwrap();
    sink.deliver(&batch(&log, 3..8)).await.unwrap();
    log.export(&dir.path().join("export"));
    assert_eq!(fs::read(&path).unwrap(), fs::read(dir.path().join("export/events.ndjson")).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_torn_line_goes_and_delivery_goes_on() {
    let (log, dir) = (Log::sample(8), TempDir::new().unwrap());
    let path = dir.path().join("sink.ndjson");
    FileSink::open(&path, u64::MAX).unwrap().deliver(&batch(&log, 0..3)).await.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&vec![b'x'; 200_000]).unwrap();
    let mut sink = FileSink::open(&path, u64::MAX).unwrap();
    assert_eq!(ids(&path), expected(0..3));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // What an attempt that failed half way leaves behind goes too.
    file.write_all(b"{\"id\":").unwrap();
    sink.deliver(&batch(&log, 3..8)).await.unwrap();
    assert_eq!(ids(&path), expected(0..8));
}

#[tokio::test]
async fn rotation_loses_and_overwrites_nothing() {
    let (log, dir) = (Log::sample(12), TempDir::new().unwrap());
    let path = dir.path().join("sink.ndjson");
    for start in [0, 4, 8] {
        // Each run opens the file again, as after a restart.
        let mut sink = FileSink::open(&path, 1).unwrap();
        sink.deliver(&batch(&log, start..start + 2)).await.unwrap();
        sink.deliver(&batch(&log, start + 2..start + 4)).await.unwrap();
    }
    let rotated = (1..=5).map(|n| dir.path().join(format!("sink.ndjson.{n}")));
    let all: Vec<_> = rotated.chain([path]).flat_map(|path| ids(&path)).collect();
    assert_eq!(all, expected(0..12));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
}

#[tokio::test]
async fn an_event_that_cannot_be_delivered_is_named() {
    let (log, dir) = (Log::sample(8), TempDir::new().unwrap());
    let path = dir.path().join("sink.ndjson");
    let mut sink = FileSink::open(&path, u64::MAX).unwrap();
    let mut bad = batch(&log, 0..4);
    bad[2].leaf.truncate(9);
    assert_eq!(sink.deliver(&bad).await, Err(SinkError::Rejected { index: 2 }));
    assert_eq!(ids(&path), expected(0..0), "nothing of a refused batch is written");
}
