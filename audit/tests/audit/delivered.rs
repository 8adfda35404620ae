//! What sinks delivered, as receivers export it: whole, whatever was put around it; or the first bad event is named.

use crate::fixture::{Log, event, fault, log_key};
use keyfold_audit::event::Kind;
use keyfold_audit::leaf::{LeafError, Opened, read};
use keyfold_audit::receipt::{Receipt, ReceiptError};
use keyfold_audit::verify::{Deliveries, DeliveryReport, Failure, Fault, PairingError};
use keyfold_audit::{leaf, line};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

macro_rules! assert_fault {
    ($verified:expr, $index:expr, $what:pat) => {
        let (index, what) = fault($verified);
        assert!(index == $index && matches!(what, $what), "{index:?} {what:?}");
    };
}

/// The event's message, as the native format writes it.
fn message(log: &Log, index: usize) -> String {
    written(log, index, None)
}

/// The same with a proof against the log as it was when it had `size` events.
fn proven(log: &Log, index: usize, size: usize) -> String {
    let then = log.cut(size);
    let proof = then.edge().inclusion_of_recent(index as u64).unwrap();
    written(log, index, Some(&Receipt { index: index as u64, proof, checkpoint: then.checkpoint() }))
}

fn written(log: &Log, index: usize, receipt: Option<&Receipt>) -> String {
    let event = &log.events[index];
    let opened = read(&event.leaf, &event.disclosures).unwrap();
    String::from_utf8(line(index as u64, &opened, &event.leaf, &event.disclosures, receipt)).unwrap()
}

/// The message of the checkpoint at `size`, of which `filtered` events were withheld.
fn head(log: &Log, size: usize, filtered: usize) -> String {
    let log = log.cut(size);
    let (checkpoint, sent) = (log.checkpoint(), size - filtered);
    let id = format!("{}@{size}", log.stamp.origin);
    json!({"id": id, "checkpoint": checkpoint, "size": size, "sent": sent, "filtered": filtered, "dead": 0}).to_string()
}

/// All messages of a log: its events, and a checkpoint after every five.
fn messages(log: &Log) -> Vec<String> {
    let with_head = |index: usize| {
        let head = (index % 5 == 4).then(|| head(log, index + 1, 0));
        [Some(message(log, index)), head].into_iter().flatten()
    };
    (0..log.events.len()).flat_map(with_head).collect()
}

fn verify(lines: &[String]) -> Result<DeliveryReport, Failure> {
    verify_files(&[lines], None, false)
}

fn verify_files(files: &[&[String]], checkpoint: Option<&str>, complete: bool) -> Result<DeliveryReport, Failure> {
    let folder = TempDir::new().unwrap();
    let mut deliveries = Deliveries::of(log_key(2).verifier().clone(), folder.path().to_owned());
    for lines in files {
        deliveries.read((lines.join("\n") + "\n").as_bytes())?;
    }
    checkpoint.map_or(Ok(()), |note| deliveries.checkpoint(note))?;
    deliveries.verify(complete)
}

#[test]
fn a_whole_delivery_is_accepted_in_any_order_and_as_often_as_it_came() {
    let log = Log::sample(20);
    let lines = messages(&log);
    let report = verify(&lines).unwrap();
    assert_eq!((report.checkpoint.size, report.checkpoint.root), (20, log.edge().root()));
    assert_eq!((report.events, report.withheld(), report.beyond, report.repeated), (20, 0, 0, 0));
    assert_eq!(report.whole.as_ref().unwrap().released, 5);

    let mut shuffled: Vec<_> = lines.iter().rev().chain(&lines[3..9]).cloned().collect();
    shuffled.extend(["".into(), "not a message".into(), json!({"id": "broker.example/other#3"}).to_string()]);
    let again = verify(&shuffled).unwrap();
    assert_eq!((again.events, again.repeated, again.other_lines), (20, 5, 2));
    assert_eq!(again.whole, report.whole);
    let files = verify_files(&[&lines[10..], &lines[..12]], None, true).unwrap();
    assert_eq!((files.events, files.repeated), (20, 1));

    // A receiver drops members, adds its own and orders them by itself.
    let stored: Vec<_> = lines
        .iter()
        .map(|line| {
            let mut message: Value = serde_json::from_str(line).unwrap();
            message["host"] = json!("siem-1");
            message.as_object_mut().unwrap().remove("time");
            json!({"result": {"_raw": message.to_string()}}).to_string()
        })
        .collect();
    assert_eq!(verify(&stored).unwrap().whole, report.whole);
}

#[test]
fn what_comes_after_the_newest_checkpoint_is_proven_by_nothing_yet() {
    let log = Log::sample(13);
    let report = verify(&messages(&log)).unwrap();
    assert_eq!((report.checkpoint.size, report.events, report.beyond), (10, 10, 3));
    let newest = verify_files(&[&messages(&log)], Some(&log.checkpoint()), false).unwrap();
    assert_eq!((newest.checkpoint.size, newest.beyond), (13, 0));
    assert_fault!(verify(&messages(&log)[..3]), None, Fault::NoCheckpoint);
}

#[test]
fn the_first_missing_event_is_named() {
    let lines = messages(&Log::sample(20));
    let without = |indices: &[usize]| {
        let gone = |line: &&String| !indices.iter().any(|index| line.contains(&format!("acme#{index}\"")));
        verify(&lines.iter().filter(gone).cloned().collect::<Vec<_>>())
    };
    for index in [0, 1, 4, 5, 19] {
        assert_fault!(without(&[index]), Some(index as u64), Fault::Missing);
    }
    assert_fault!(without(&[17, 7, 12]), Some(7), Fault::Missing);
    // A removed tail is seen as soon as one newer checkpoint is at hand.
    let tail = verify(&lines[..18]).unwrap();
    assert_eq!(tail.checkpoint.size, 15);
    assert_fault!(verify(&[&lines[..18], &lines[23..]].concat()), Some(15), Fault::Missing);
}

/// The messages, one of them changed.
fn altered(index: usize, change: impl Fn(&mut Value)) -> Result<DeliveryReport, Failure> {
    let mut lines = messages(&Log::sample(20));
    let line = lines.iter_mut().find(|line| line.contains(&format!("acme#{index}\""))).unwrap();
    let mut message: Value = serde_json::from_str(line).unwrap();
    change(&mut message);
    *line = message.to_string();
    verify(&lines)
}

#[test]
fn an_altered_event_is_named() {
    for (member, value) in [
        ("evt", json!("restore.denied")),
        ("out", json!("policy_denied")),
        ("index", json!(10)),
        ("time", json!("2020-01-01T00:00:00Z")),
        ("disclosed", json!({"device": "d-2"})),
        ("cor", json!(Uuid::from_u128(99))),
    ] {
        assert_fault!(altered(11, |message| message[member] = value.clone()), Some(11), Fault::Line);
    }
    // What is no message of an event any more, is missing.
    assert_fault!(altered(11, |message| message["leaf"] = json!(7)), Some(11), Fault::Missing);
    let forged = json!(["WyJhIiwiZGV2aWNlIiwiZC0yIl0"]);
    assert_fault!(
        altered(11, |message| message["disclosures"] = forged.clone()),
        Some(11),
        Fault::Leaf(LeafError::UnreferencedDisclosure)
    );
    let resigned = |message: &mut Value| {
        let leaf = message["leaf"].as_str().unwrap();
        message["leaf"] = json!(leaf[..leaf.len() - 4].to_owned() + "AAAA");
    };
    assert_fault!(altered(11, resigned), Some(11), Fault::Leaf(LeafError::Signature | LeafError::Malformed));
    assert_fault!(altered(11, |message| message["erased"] = json!(Uuid::from_u128(1))), Some(11), Fault::Erasure);
}

#[test]
fn events_that_changed_places_are_found_between_two_checkpoints_or_by_their_proofs() {
    let log = Log::sample(20);
    let mut swapped = log.clone();
    swapped.events.swap(10, 11);
    let lines: Vec<_> =
        (0..20).map(|index| message(&swapped, index)).chain([head(&log, 10, 0), head(&log, 15, 0)]).collect();
    assert_fault!(verify(&lines), Some(10), Fault::Pairing(PairingError::NoIntent));
    let mut swapped = log.clone();
    swapped.events.swap(12, 16);
    let lines: Vec<_> =
        (0..20).map(|index| message(&swapped, index)).chain([head(&log, 10, 0), head(&log, 20, 0)]).collect();
    assert_fault!(verify(&lines), Some(10), Fault::Exchanged { end: 20 });
    let lines: Vec<_> = (0..20)
        .map(|index| {
            let mut line: Value = serde_json::from_str(&message(&swapped, index)).unwrap();
            let proof: Value = serde_json::from_str(&proven(&log, index, 20)).unwrap();
            line["proof"] = proof["proof"].clone();
            line.to_string()
        })
        .chain([head(&log, 20, 0)])
        .collect();
    assert_fault!(verify(&lines), Some(12), Fault::Proof(ReceiptError::Proof(_)));
}

#[test]
fn two_histories_are_told_from_one() {
    let log = Log::sample(20);
    let fork = log.cut(12).with(&event(Kind::LogHeartbeat)).with(&event(Kind::LogHeartbeat));
    // A database that was put back goes on with other events under indices that were used.
    let both = [messages(&log), vec![message(&fork, 12)]].concat();
    assert_fault!(verify(&both), Some(12), Fault::Contradiction);
    let heads = [messages(&log), vec![head(&fork, 14, 0), head(&log, 14, 0)]].concat();
    assert_fault!(verify(&heads), None, Fault::Contradiction);
    assert_fault!(verify(&[messages(&log), vec![head(&fork, 14, 0)]].concat()), Some(10), Fault::Exchanged { end: 14 });
    let thief = head(&log, 20, 0).replace(&log.checkpoint()[60..], "");
    assert_eq!(verify(&[messages(&log), vec![thief]].concat()).unwrap().events, 20, "no message any more");
}

#[test]
fn what_a_filter_withheld_is_counted_and_the_rest_is_proven_one_by_one() {
    let log = Log::sample(20);
    let lines = |kept: &[usize], heads: &[(usize, usize)], with_proof: bool| -> Vec<String> {
        let event = |index: &usize| if with_proof { proven(&log, *index, 20) } else { message(&log, *index) };
        kept.iter().map(event).chain(heads.iter().map(|(size, filtered)| head(&log, *size, *filtered))).collect()
    };
    let kept = [1, 3, 5, 9, 13, 17];
    let report = verify(&lines(&kept, &[(10, 6), (20, 14)], true)).unwrap();
    assert_eq!((report.events, report.withheld(), report.whole), (6, 14, None));
    assert_fault!(verify(&lines(&kept, &[(10, 6), (20, 14)], false)), Some(1), Fault::Unproven);
    assert_fault!(
        verify(&lines(&[1, 3, 9, 13, 17], &[(10, 6), (20, 14)], true)),
        Some(0),
        Fault::TooFew { end: 10, withheld: 6 }
    );
    assert_fault!(verify(&lines(&[1, 3, 5, 9, 17], &[(10, 6), (20, 14)], true)), Some(10), Fault::TooFew { .. });
    let complete = verify_files(&[&lines(&kept, &[(10, 6), (20, 14)], true)], None, true);
    assert_fault!(complete, Some(0), Fault::Missing);
    // Of what was not withheld, nothing may be missing: the first ten are whole.
    let first_ten: Vec<_> = (0..10).chain([12, 17]).collect();
    verify(&lines(&first_ten, &[(10, 0), (20, 8)], true)).unwrap();
    let nine: Vec<_> = (0..10).filter(|index| *index != 4).chain([12, 17]).collect();
    assert_fault!(verify(&lines(&nine, &[(10, 0), (20, 8)], true)), Some(4), Fault::Missing);
    // What comes before the first gap is proven by a checkpoint there, or by itself.
    let unproven: Vec<_> = [lines(&[0, 1, 2], &[], false), lines(&[5, 9], &[(20, 15)], true)].concat();
    assert_fault!(verify(&unproven), Some(0), Fault::Unproven);
    verify(&[unproven, vec![head(&log, 3, 0)]].concat()).unwrap();
    // A filter does not unsign what it lets through.
    let mut forged = lines(&kept, &[(10, 6), (20, 14)], true);
    forged[3] = forged[3].replace("d-1", "d-2");
    assert_fault!(verify(&forged), Some(9), Fault::Line);
}

#[test]
fn events_on_their_way_are_not_missing() {
    let log = Log::sample(20);
    let mut behind: Value = serde_json::from_str(&head(&log, 20, 0)).unwrap();
    behind["sent"] = json!(15);
    let lines: Vec<_> =
        (0..15).map(|index| message(&log, index)).chain([head(&log, 15, 0), behind.to_string()]).collect();
    assert_eq!(verify(&lines).unwrap().checkpoint.size, 15);
}

#[test]
fn erased_events_are_told_by_their_erasure() {
    let reference = Uuid::from_u128(7);
    let log = Log::sample(5).with(&event(Kind::SubjectErased).correlation(reference));
    let erased = |index: usize| {
        let event = &log.events[index];
        let opened = Opened { erased: Some(reference), ..leaf::read::<&str>(&event.leaf, &[]).unwrap() };
        String::from_utf8(line::<&str>(index as u64, &opened, &event.leaf, &[], None)).unwrap()
    };
    let mut lines: Vec<_> = (0..6).map(|index| message(&log, index)).chain([head(&log, 6, 0)]).collect();
    lines[1] = erased(1);
    lines.push(erased(2));
    let erasures = verify(&lines).unwrap().erasures;
    assert_eq!((erasures.len(), erasures[0].reference, erasures[0].index), (1, reference, Some(5)));
    assert_eq!(erasures[0].events, [1], "of an event that was sent before it too, the first message counts");
}
