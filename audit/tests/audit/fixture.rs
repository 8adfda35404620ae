//! A small log with real keys, and the outside oracles.

use keyfold_audit::Origin;
use keyfold_audit::event::{Event, Exposure, Kind, Outcome};
use keyfold_audit::export::Exporter;
use keyfold_audit::leaf::{EventKey, SignedEvent, Stamp};
use keyfold_audit::note::LogKey;
use keyfold_audit::tree::Edge;
use keyfold_audit::verify::{Failure, Fault};
use secret::Secret;
use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use uuid::Uuid;

pub(crate) const START_MS: u64 = 1_800_000_000_000;

pub(crate) fn origin() -> Origin {
    Origin::new("broker.example/acme").unwrap()
}

pub(crate) fn event_key(seed: u8) -> EventKey {
    EventKey::from_seed(&Secret::copied_from(&[seed; 32])).unwrap()
}

pub(crate) fn log_key(seed: u8) -> LogKey {
    LogKey::from_seed(&origin(), &Secret::copied_from(&[seed; 32])).unwrap()
}

pub(crate) fn event(kind: Kind) -> Event {
    Event::new(kind, Outcome::OK)
}

/// A log, its keys, and the clock that stamps it: a second an event.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) stamp: Stamp,
    pub(crate) events: Vec<SignedEvent>,
}

impl Log {
    /// A log that is open and empty otherwise.
    pub(crate) fn opened() -> Self {
        let stamp = Stamp { origin: origin(), boot: Uuid::from_u128(1), at_ms: START_MS };
        let log = Self { stamp, events: Vec::new() };
        log.with(&event(Kind::LogOpened).event_key(event_key(1).public_key().clone()))
    }

    /// A log of `size` events in which nothing is wrong: devices, wraps and whole restores.
    pub(crate) fn sample(size: usize) -> Self {
        let mut log = Self::opened();
        while log.events.len() < size {
            let restore = Uuid::from_u128(log.events.len() as u128 / 4);
            let next = match log.events.len() % 4 {
                1 => event(Kind::DeviceEnrolled).device("d-1").user("u-1").ip("192.0.2.7"),
                2 => event(Kind::RestoreIntent).correlation(restore).device("d-1").kek("kek-1", 3).provider("aws-kms"),
                3 => event(Kind::RestoreReleased)
                    .correlation(restore)
                    .device("d-1")
                    .policy_digest([9; 32])
                    .exposure(Exposure::PlaintextInBroker)
                    .reason("new \"laptop\", é\n"),
                _ => event(Kind::RecordWrapped).record("r-1").exposure(Exposure::SealedToDevice),
            };
            log = log.with(&next);
        }
        log
    }

    pub(crate) fn with(self, event: &Event) -> Self {
        self.signed_by(&event_key(1), event)
    }

    pub(crate) fn signed_by(mut self, key: &EventKey, event: &Event) -> Self {
        self.events.push(event.sign(&self.stamp, key));
        self.stamp.at_ms += 1000;
        self
    }

    /// The log as it was when it had `size` events.
    pub(crate) fn cut(&self, size: usize) -> Self {
        Self { events: self.events[..size].to_vec(), ..self.clone() }
    }

    pub(crate) fn edge(&self) -> Edge {
        let mut edge = Edge::new();
        self.events.iter().for_each(|event| edge.append(event.hash()));
        edge
    }

    pub(crate) fn checkpoint(&self) -> String {
        let edge = self.edge();
        log_key(2).checkpoint(edge.size(), &edge.root())
    }

    pub(crate) fn export(&self, dir: &Path) {
        self.export_marking(dir, &[], Uuid::nil());
    }

    /// Exports the log as it is after an erasure that left nothing of these events.
    pub(crate) fn export_marking(&self, dir: &Path, erased: &[u64], reference: Uuid) {
        let mut exporter = Exporter::create(dir, log_key(2).verifier().clone()).unwrap();
        for (index, event) in (0..).zip(&self.events) {
            let (disclosures, erased): (&[String], _) =
                if erased.contains(&index) { (&[], Some(reference)) } else { (&event.disclosures, None) };
            exporter.append(index, &event.leaf, disclosures, erased).unwrap();
        }
        exporter.finish(&self.checkpoint()).unwrap();
    }
}

/// The event that is named, and why it is bad.
pub(crate) fn fault<T: Debug>(verified: Result<T, Failure>) -> (Option<u64>, Fault) {
    let Failure { index, what } = verified.unwrap_err();
    (index, what)
}

/// What `tests/oracles/<script>` prints for `input`; panics when it refuses, or when there is no Python to run it.
pub(crate) fn oracle(script: &str, arguments: &[&Path], input: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let venv = std::env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(
        python.exists(),
        "no oracles: make a Python 3.13 venv at {} from tests/oracles/requirements.txt",
        venv.display()
    );
    let mut command = Command::new(python);
    command.arg(root.join("tests/oracles").join(script)).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
