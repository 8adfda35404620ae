//! Evidence for an auditor: accepted as it was made, by outside libraries too; every way of tampering is named.

use crate::fixture::{Log, event, fault, log_key, oracle};
use keyfold_audit::event::{Field, Kind};
use keyfold_audit::evidence::{EvidenceError, EvidenceWriter, Policies, Selection};
use keyfold_audit::leaf::LeafError;
use keyfold_audit::note::NoteError;
use keyfold_audit::receipt::ReceiptError;
use keyfold_audit::tree::ProofError;
use keyfold_audit::verify::{EvidenceReport, Failure, Fault, Options, verify_dir, verify_evidence};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use tempfile::TempDir;
use uuid::Uuid;

macro_rules! assert_fault {
    ($verified:expr, $index:expr, $what:pat) => {
        let (index, what) = fault($verified);
        assert!(index == $index && matches!(what, $what), "{index:?} {what:?}");
    };
}

fn selection(range: Range<u64>) -> Selection {
    Selection {
        export: Uuid::from_u128(11),
        auditor: "Auditor & Co".into(),
        made_at: 1_800_000_000,
        range,
        fields: BTreeSet::from([Field::Device, Field::Reason]),
        kinds: None,
    }
}

fn policies() -> Policies {
    Policies { schema: "entity User;".into(), text: "permit (principal, action, resource);".into() }
}

fn written(log: &Log, selection: Selection, folder: &Path) -> Result<(), EvidenceError> {
    let edge = log.edge();
    let proof = |index: u64| edge.inclusion_of_recent(index).unwrap();
    let range = selection.range.clone();
    let mut writer = EvidenceWriter::create(folder, log_key(2).verifier().clone(), &log.checkpoint(), selection)?;
    if range.start > 0 {
        writer.announcement(&log.events[0].leaf, proof(0))?;
    }
    for index in range {
        let event = &log.events[index as usize];
        writer.append(&event.leaf, &event.disclosures, None, proof(index))?;
    }
    writer.finish(&policies())?;
    Ok(())
}

fn evidence(log: &Log, selection: Selection) -> TempDir {
    let folder = TempDir::new().unwrap();
    written(log, selection, folder.path()).unwrap();
    folder
}

fn verify(folder: &TempDir) -> Result<EvidenceReport, Failure> {
    verify_evidence(folder.path(), Some(&log_key(2).vkey()), &[])
}

fn lines(folder: &TempDir) -> Vec<Value> {
    let text = fs::read_to_string(folder.path().join("events.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn evidence_shows_what_was_chosen_and_outside_libraries_accept_it() {
    let log = Log::sample(40);
    let folder = evidence(&log, selection(9..33));
    let report = verify(&folder).unwrap();
    assert_eq!((report.pinned, report.checkpoint.size, report.manifest.auditor.as_str()), (true, 40, "Auditor & Co"));
    assert_eq!((report.manifest.disclosures, report.disclosing.len(), report.other_policies), (24, 18, 6));
    let lines = lines(&folder);
    assert_eq!(lines.len(), 25, "all events of the range, and the announcement of the event key");
    for line in &lines {
        let shown: Vec<_> = line["disclosed"].as_object().unwrap().keys().collect();
        assert!(shown.iter().all(|field| ["device", "reason"].contains(&field.as_str())), "{shown:?}");
    }

    let told: Value = serde_json::from_str(&oracle("audit_evidence.py", &[folder.path()], &log_key(2).vkey())).unwrap();
    assert_eq!(told["events"], 25);
    assert_eq!(told["disclosed"], json!({"device": 18, "reason": 6}));
}

#[test]
fn fields_are_disclosed_of_the_chosen_events_only() {
    let log = Log::sample(20);
    let kinds = Some(BTreeSet::from([Kind::RestoreReleased]));
    let folder = evidence(&log, Selection { kinds, ..selection(0..20) });
    let report = verify(&folder).unwrap();
    assert_eq!((report.manifest.to, report.disclosing), (20, vec![3, 7, 11, 15, 19]));
    assert_eq!(lines(&folder).len(), 20);
}

/// Evidence that a forger has changed, its manifest made to fit.
fn forged(change: impl Fn(&mut Vec<Value>)) -> Result<EvidenceReport, Failure> {
    let folder = evidence(&Log::sample(20), selection(4..18));
    let mut lines = lines(&folder);
    change(&mut lines);
    // Members in the order in which they are written.
    let text: String = lines.iter().map(|line| ordered(line) + "\n").collect();
    fs::write(folder.path().join("events.ndjson"), text).unwrap();
    refit(&folder);
    verify(&folder)
}

fn ordered(line: &Value) -> String {
    let names = [
        "id",
        "index",
        "time",
        "jti",
        "boot",
        "evt",
        "out",
        "kek",
        "prov",
        "cor",
        "cfg",
        "exposure",
        "disclosed",
        "erased",
        "leaf",
        "disclosures",
        "proof",
    ];
    let members = names.iter().filter_map(|name| Some(format!("\"{name}\":{}", member(name, line.get(name)?))));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The fields that are disclosed stand in the order of the leaf, which is not that of the alphabet only for these.
fn member(name: &str, value: &Value) -> String {
    match (name, value.as_object()) {
        ("kek", Some(kek)) => format!("{{\"id\":{},\"version\":{}}}", kek["id"], kek["version"]),
        _ => value.to_string(),
    }
}

/// Gives the manifest the hashes that the files have now.
fn refit(folder: &TempDir) {
    let path = folder.path().join("manifest.json");
    let mut manifest: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (name, hash) in manifest["files"].as_object_mut().unwrap() {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        *hash = json!(hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes)));
    }
    fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn every_way_of_tampering_with_events_is_named() {
    forged(|_| {}).unwrap();
    assert_fault!(forged(|lines| drop(lines.remove(4))), Some(7), Fault::Proof(ReceiptError::Proof(_)));
    assert_fault!(forged(|lines| drop(lines.pop())), Some(17), Fault::Missing);
    assert_fault!(forged(|lines| lines.push(lines[3].clone())), Some(18), Fault::Surplus);
    assert_fault!(
        forged(|lines| lines.swap(3, 6)),
        Some(6),
        Fault::Proof(ReceiptError::Proof(ProofError::Root | ProofError::Length))
    );
    assert_fault!(forged(|lines| lines[5]["evt"] = json!("restore.denied")), Some(8), Fault::Line);
    assert_fault!(forged(|lines| lines[4]["disclosed"]["device"] = json!("d-2")), Some(7), Fault::Line);
    let other = |lines: &mut Vec<Value>| lines[4]["disclosures"] = lines[8]["disclosures"].clone();
    assert_fault!(forged(other), Some(7), Fault::Leaf(LeafError::UnreferencedDisclosure));
    let without = |lines: &mut Vec<Value>| drop(lines[4].as_object_mut().unwrap().remove("proof"));
    assert_fault!(forged(without), Some(7), Fault::Unproven);
    assert_fault!(forged(|lines| lines[4]["erased"] = json!(Uuid::from_u128(1))), Some(7), Fault::Erasure);
}

#[test]
fn evidence_that_is_not_what_it_says_is_refused() {
    let log = Log::sample(20);
    let spoiled = |spoil: &dyn Fn(&TempDir)| {
        let folder = evidence(&log, selection(4..18));
        spoil(&folder);
        verify(&folder)
    };
    let edited = |member: &'static str, value: Value| {
        spoiled(&|folder| {
            let path = folder.path().join("manifest.json");
            let mut manifest: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            manifest[member] = value.clone();
            fs::write(path, manifest.to_string()).unwrap();
        })
    };
    let file = |name: &'static str| spoiled(&move |folder| fs::write(folder.path().join(name), "other").unwrap());
    for name in ["events.ndjson", "policies.cedar", "schema.cedarschema", "checkpoint", "vkey"] {
        assert_fault!(file(name), None, Fault::OtherFile { .. });
    }
    assert_fault!(edited("fields", json!(["reason"])), Some(5), Fault::Unselected);
    assert_fault!(edited("events", json!(["restore.released"])), Some(5), Fault::Unselected);
    assert_fault!(edited("to", json!(19)), Some(18), Fault::Missing);
    assert_fault!(edited("from", json!(5)), Some(5), Fault::Proof(_));
    for (member, value) in [
        ("disclosures", json!(1)),
        ("erased", json!(1)),
        ("origin", json!("broker.example/other")),
        ("policy_digest", json!("00")),
        ("to", json!(21)),
        ("format", json!("keyfold-evidence/2")),
        ("files", json!({"../../etc/passwd": "00"})),
        ("more", json!(1)),
    ] {
        assert_fault!(edited(member, value), None, Fault::Manifest);
    }
    let thief = spoiled(&|folder| {
        let edge = log.edge();
        fs::write(folder.path().join("checkpoint"), log_key(66).checkpoint(20, &edge.root())).unwrap();
        refit(folder);
    });
    assert_fault!(thief, None, Fault::Checkpoint(NoteError::Unsigned));
}

#[test]
fn what_is_not_in_the_log_becomes_no_evidence() {
    let (log, other) = (Log::sample(20), Log::sample(20));
    let folder = TempDir::new().unwrap();
    let mut writer =
        EvidenceWriter::create(folder.path(), log_key(2).verifier().clone(), &log.checkpoint(), selection(4..18))
            .unwrap();
    let proof = log.edge().inclusion_of_recent(4).unwrap();
    let refused = writer.append(&other.events[4].leaf, &[], None, proof);
    assert!(matches!(refused, Err(EvidenceError::Proof { index: 4, .. })));
    assert!(matches!(writer.finish(&policies()), Err(EvidenceError::OutOfOrder { expected: 4 })));
    assert!(!folder.path().join("manifest.json").exists());
    assert!(written(&log, selection(4..18), folder.path()).is_err(), "what is there already is not overwritten");
}

#[test]
fn who_was_erased_since_is_told_from_a_later_export() {
    let log = Log::sample(20);
    let report = verify(&evidence(&log, selection(4..18))).unwrap();
    let reference = Uuid::from_u128(7);
    let log = log.with(&event(Kind::SubjectErased).correlation(reference));
    let dir = TempDir::new().unwrap();
    log.export_marking(dir.path(), &[1, 5, 7, 8], reference);
    let newer =
        verify_dir(dir.path(), &Options { vkey: Some(&log_key(2).vkey()), older: None, cosigners: &[] }).unwrap();
    let since = report.erased_since(&newer);
    // The evidence has no event 1, and discloses nothing of event 8.
    assert_eq!((since.len(), since[0].reference, since[0].index), (1, reference, Some(20)));
    assert_eq!(since[0].events, [5, 7]);
}
