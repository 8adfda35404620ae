//! What a witness cosigns, and above all what it does not; the status of each refusal is the standard's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use audit::cosignature::{Cosigner, CosignerKey, cosignatures};
use audit::note::LogKey;
use audit::tree::{Edge, consistency_proof, leaf_hash};
use audit::{Hash, Origin, note};
use keyfold_witness::{AddCheckpoint, RecordError, Refusal, Witness};
use secret::Secret;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;

fn origin(name: &str) -> Origin {
    Origin::new(name).unwrap()
}

fn log_key(name: &str, seed: u8) -> LogKey {
    LogKey::from_seed(&origin(name), &Secret::copied_from(&[seed; 32])).unwrap()
}

fn witness_key() -> CosignerKey {
    CosignerKey::from_seed(&origin("witness.example/w1"), &Secret::copied_from(&[9; 32])).unwrap()
}

fn cosigner() -> [Cosigner; 1] {
    [witness_key().cosigner().clone()]
}

/// One of two histories of a log.
struct Log {
    key: LogKey,
    history: &'static str,
}

impl Log {
    fn of(history: &'static str) -> Self {
        Self { key: log_key("log.example/a", 1), history }
    }

    /// Both histories have the first three leaves in common.
    fn edge(&self, size: u64) -> Edge {
        let mut edge = Edge::new();
        for index in 0..size {
            let history = if index < 3 { "common" } else { self.history };
            edge.append(leaf_hash(format!("{history} {index}").as_bytes()));
        }
        edge
    }

    fn checkpoint(&self, size: u64) -> String {
        self.key.checkpoint(size, &self.edge(size).root())
    }

    fn proof(&self, old: u64, size: u64) -> Vec<Hash> {
        if old == 0 || old == size { Vec::new() } else { consistency_proof(old, size, &self.edge(size)).unwrap() }
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint { old, proof: self.proof(old, size), checkpoint: self.checkpoint(size) }
    }
}

/// A witness of `log.example/a`, and its folder.
struct Watch {
    folder: TempDir,
    witness: Witness,
}

impl Watch {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let witness = open(folder.path()).unwrap();
        Self { folder, witness }
    }

    fn restart(&mut self) {
        self.witness = open(self.folder.path()).unwrap();
    }

    fn ask(&self, request: &AddCheckpoint) -> Result<u64, Refusal> {
        let line = self.witness.add_checkpoint(&request.to_string(), NOW)?;
        let signed = cosignatures(&format!("{}{line}", request.checkpoint), &cosigner()).unwrap();
        assert_eq!(signed.len(), 1, "the answer is a cosignature of what was sent");
        Ok(signed[0].at)
    }

    /// The only file of the folder.
    fn file(&self) -> PathBuf {
        let files: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

fn open(folder: &Path) -> Result<Witness, RecordError> {
    Witness::open(witness_key(), folder, vec![log_key("log.example/a", 1).verifier().clone()])
}

#[test]
fn it_follows_a_log_that_grows_and_refuses_the_rest_over_restarts_too() {
    let (mut watch, log, fork) = (Watch::start(), Log::of("one"), Log::of("other"));
    for (old, size) in [(0, 1), (1, 1), (1, 2), (2, 5), (5, 8), (8, 200)] {
        assert_eq!(watch.ask(&log.request(old, size)).unwrap(), NOW, "{old} {size}");
        watch.restart();
    }
    for old in [0, 5, 199] {
        assert!(matches!(watch.ask(&log.request(old, 201)), Err(Refusal::Conflict(200))), "{old}");
    }
    assert!(matches!(watch.ask(&log.request(2, 199)), Err(Refusal::Conflict(200))), "no smaller tree");
    for size in [200, 201, 255] {
        assert!(matches!(watch.ask(&fork.request(200, size)), Err(Refusal::Inconsistent)), "{size}");
    }
    let mut unproven = log.request(200, 210);
    unproven.proof.pop();
    assert!(matches!(watch.ask(&unproven), Err(Refusal::Inconsistent)));
    assert!(watch.ask(&log.request(200, 210)).is_ok(), "a refusal changes nothing");
}

#[test]
fn what_it_has_cosigned_is_on_the_disk_and_can_be_read_by_anyone() {
    let (watch, log) = (Watch::start(), Log::of("one"));
    let hash = "a7e2c1d4";
    assert!(matches!(watch.witness.checkpoint(hash), Err(Refusal::UnknownLog)));
    watch.ask(&log.request(0, 4)).unwrap();
    let file = watch.file();
    let hash = file.file_stem().unwrap().to_str().unwrap();
    let shown = watch.witness.checkpoint(hash).unwrap();
    assert_eq!(shown, fs::read_to_string(&file).unwrap());
    assert_eq!(note::open(&shown, &[log.key.verifier().clone()]).unwrap().size, 4);
    assert_eq!(cosignatures(&shown, &cosigner()).unwrap().len(), 1);
}

#[test]
fn strangers_signatures_are_neither_a_reason_nor_kept() {
    let (watch, log) = (Watch::start(), Log::of("one"));
    let stranger = log_key("log.example/a", 2);
    let by_stranger = stranger.checkpoint(4, &log.edge(4).root());
    let line = by_stranger.split_once("\n\n").unwrap().1;
    let mut request = log.request(0, 4);
    request.checkpoint.push_str(line);
    watch.ask(&request).unwrap();
    assert!(!fs::read_to_string(watch.file()).unwrap().contains(line));
    request.checkpoint = by_stranger;
    assert!(matches!(watch.ask(&request), Err(Refusal::Unsigned)));
}

#[test]
fn each_fault_has_its_refusal() {
    let (watch, log) = (Watch::start(), Log::of("one"));
    watch.ask(&log.request(0, 4)).unwrap();
    let asked = |request: AddCheckpoint| watch.ask(&request).unwrap_err();
    assert!(matches!(asked(log.request(6, 6).changed(|it| it.old = 7)), Refusal::Malformed), "old above size");
    let unknown = log_key("log.example/b", 1).checkpoint(4, &log.edge(4).root());
    assert!(matches!(asked(log.request(4, 4).changed(|it| it.checkpoint = unknown)), Refusal::UnknownLog));
    let altered = log.checkpoint(5).replacen("\n5\n", "\n6\n", 1);
    assert!(matches!(asked(log.request(4, 5).changed(|it| it.checkpoint = altered)), Refusal::Unsigned));
    let extended = log.checkpoint(5).replacen("\n\n", "\nextension\n\n", 1);
    assert!(matches!(asked(log.request(4, 5).changed(|it| it.checkpoint = extended)), Refusal::Malformed));
    assert!(matches!(watch.witness.add_checkpoint("old 4\n", NOW), Err(Refusal::Malformed)));

    let fresh = Watch::start();
    let proven = log.request(0, 4).changed(|it| it.proof = vec![[1; 32]]);
    assert!(matches!(fresh.ask(&proven), Err(Refusal::Inconsistent)), "nothing needs no proof");
    let hollow = log.key.checkpoint(0, &[1; 32]);
    assert!(matches!(fresh.ask(&log.request(0, 0).changed(|it| it.checkpoint = hollow)), Err(Refusal::Inconsistent)));
    assert!(fresh.ask(&log.request(0, 0)).is_ok());
}

#[test]
fn a_request_altered_anywhere_is_refused() {
    let (watch, log) = (Watch::start(), Log::of("one"));
    watch.ask(&log.request(0, 5)).unwrap();
    let request = log.request(5, 8).to_string();
    for at in 0..request.len() {
        let mut altered = request.clone().into_bytes();
        altered[at] ^= 1;
        let Ok(altered) = String::from_utf8(altered) else { continue };
        assert!(watch.witness.add_checkpoint(&altered, NOW).is_err(), "byte {at}: {altered}");
    }
    assert!(watch.witness.add_checkpoint(&request, NOW).is_ok());
}

trait Changed {
    fn changed(self, change: impl FnOnce(&mut Self)) -> Self;
}

impl Changed for AddCheckpoint {
    fn changed(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

#[test]
fn of_two_histories_sent_at_once_it_cosigns_one() {
    for _ in 0..60 {
        let watch = Arc::new(Watch::start());
        watch.ask(&Log::of("one").request(0, 3)).unwrap();
        let start = Arc::new(Barrier::new(8));
        let ask = |history| {
            let (watch, start) = (watch.clone(), start.clone());
            thread::spawn(move || {
                let request = Log::of(history).request(3, 6);
                start.wait();
                watch.ask(&request).is_ok().then_some(history)
            })
        };
        let asked: Vec<_> = (0..8).map(|number| ask(if number % 2 == 0 { "one" } else { "other" })).collect();
        let cosigned: Vec<_> = asked.into_iter().filter_map(|asked| asked.join().unwrap()).collect();
        assert_eq!(cosigned.len(), 1, "{cosigned:?}");
    }
}

#[test]
fn a_clock_that_goes_back_dates_nothing_before_what_it_follows() {
    let (watch, log) = (Watch::start(), Log::of("one"));
    watch.ask(&log.request(0, 4)).unwrap();
    let request = log.request(4, 6);
    let line = watch.witness.add_checkpoint(&request.to_string(), NOW - 3_600).unwrap();
    assert_eq!(cosignatures(&format!("{}{line}", request.checkpoint), &cosigner()).unwrap()[0].at, NOW);
}

#[test]
fn a_memory_that_is_lost_or_altered_is_no_new_beginning() {
    let (watch, log) = (Watch::start(), Log::of("one"));
    assert!(matches!(open(&watch.folder.path().join("gone")), Err(RecordError::Io(_))));
    watch.ask(&log.request(0, 4)).unwrap();
    let (file, good) = (watch.file(), fs::read_to_string(watch.file()).unwrap());
    let uncosigned = log.checkpoint(2);
    for bad in ["", &good[1..], &good.replacen("\n4\n", "\n3\n", 1), &uncosigned] {
        fs::write(&file, bad).unwrap();
        assert!(matches!(open(watch.folder.path()), Err(RecordError::Altered(_))), "{bad}");
        assert!(matches!(watch.ask(&log.request(4, 5)), Err(Refusal::Record(_))), "{bad}");
    }
    // What a crash may leave beside it is not read.
    fs::write(&file, &good).unwrap();
    fs::write(file.with_extension("unfinished"), "half").unwrap();
    assert!(open(watch.folder.path()).is_ok());
    assert!(watch.ask(&log.request(4, 5)).is_ok());
}

#[test]
fn where_nothing_can_be_written_nothing_is_cosigned() {
    let (watch, log) = (Watch::start(), Log::of("one"));
    watch.ask(&log.request(0, 4)).unwrap();
    let file = watch.file();
    // A folder in the way of the file that would be renamed.
    fs::create_dir(file.with_extension("unfinished")).unwrap();
    assert!(matches!(watch.ask(&log.request(4, 5)), Err(Refusal::Record(RecordError::Io(_)))));
    fs::remove_dir(file.with_extension("unfinished")).unwrap();
    assert!(watch.ask(&log.request(4, 5)).is_ok());
}
