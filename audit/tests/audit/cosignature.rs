//! Cosignatures: against the library aics-tlog in both directions, and against what is not one.

use crate::fixture::{Log, log_key, oracle, origin};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfold_audit::Origin;
use keyfold_audit::cosignature::{Cosigner, CosignerKey, cosignatures};
use keyfold_audit::note::{self, NoteError, Verifier};
use secret::Secret;
use serde_json::{Value, json};

const AT: u64 = 1_800_000_000;

fn cosigner_key(name: &str, seed: u8) -> CosignerKey {
    CosignerKey::from_seed(&Origin::new(name).unwrap(), &Secret::copied_from(&[seed; 32])).unwrap()
}

/// A checkpoint, what `key` says of it, and both as one note.
fn cosigned(key: &CosignerKey) -> (String, String, String) {
    let checkpoint = Log::sample(9).checkpoint();
    let line = key.cosign(&checkpoint, AT).unwrap();
    let note = format!("{checkpoint}{line}");
    (checkpoint, line, note)
}

#[test]
fn the_oracle_takes_our_cosignature_and_we_take_its() {
    let key = cosigner_key("witness.example/w1", 7);
    let (checkpoint, _, note) = cosigned(&key);
    let vkey = log_key(2).vkey();
    let ask = json!({"note": note, "vkey": vkey, "cosigner": key.cosigner().to_string(), "checkpoint": checkpoint,
        "seed": hex::encode([8; 32]), "name": "witness.example/w2", "at": AT});
    let told: Value = serde_json::from_str(&oracle("audit_cosignature.py", &[], &ask.to_string())).unwrap();
    assert_eq!(told["timestamp"], AT);
    let other = cosigner_key("witness.example/w2", 8);
    assert_eq!(told["vkey"], other.cosigner().to_string());
    assert_eq!(
        told["cosigned"],
        format!("{checkpoint}{}", other.cosign(&checkpoint, AT).unwrap()),
        "Ed25519 has one answer"
    );
    let theirs = cosignatures(told["cosigned"].as_str().unwrap(), &[other.cosigner().clone()]).unwrap();
    assert_eq!((theirs.len(), theirs[0].at, &theirs[0].cosigner), (1, AT, other.cosigner()));
}

#[test]
fn cosignatures_change_nothing_for_who_does_not_know_the_witness() {
    let (one, other) = (cosigner_key("witness.example/w1", 7), cosigner_key("witness.example/w2", 8));
    let (checkpoint, line, note) = cosigned(&one);
    let known = [log_key(2).verifier().clone()];
    assert_eq!(note::open(&note, &known).unwrap().size, 9);
    assert_eq!(note::stripped(&note, &known).unwrap(), checkpoint);
    assert_eq!(cosignatures(&note, &[other.cosigner().clone()]), Ok(Vec::new()));
    let both = format!("{note}{}", other.cosign(&note, AT + 1).unwrap());
    let found = cosignatures(&both, &[other.cosigner().clone(), one.cosigner().clone()]).unwrap();
    assert_eq!(found.iter().map(|found| found.at).collect::<Vec<_>>(), [AT, AT + 1]);
    assert_eq!(found[0].line, line);
}

#[test]
fn another_text_time_name_or_key_is_no_cosignature() {
    let key = cosigner_key("witness.example/w1", 7);
    let known = [key.cosigner().clone()];
    let (checkpoint, line, note) = cosigned(&key);
    assert_eq!(cosignatures(&note.replacen("\n9\n", "\n8\n", 1), &known), Err(NoteError::Signature));
    let encoded = line.trim_end().rsplit_once(' ').unwrap().1;
    let bytes = STANDARD.decode(encoded).unwrap();
    assert_eq!(bytes.len(), 4 + 8 + 64);
    for at in 4..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let altered = note.replace(encoded, &STANDARD.encode(bytes));
        assert_eq!(cosignatures(&altered, &known), Err(NoteError::Signature), "byte {at}");
    }
    let dateless = format!("{checkpoint}{}", key.cosign(&checkpoint, 0).unwrap());
    assert_eq!(cosignatures(&dateless, &known), Err(NoteError::Signature));
    let too_late = format!("{checkpoint}{}", key.cosign(&checkpoint, 1 << 63).unwrap());
    assert_eq!(cosignatures(&too_late, &known), Err(NoteError::Signature));
    // A cosignature by the same key under another name is a stranger's.
    let renamed = format!("{checkpoint}{}", cosigner_key("witness.example/w2", 7).cosign(&checkpoint, AT).unwrap());
    assert_eq!(cosignatures(&renamed, &known), Ok(Vec::new()));
}

#[test]
fn logs_and_witnesses_have_keys_of_their_own_kind_and_only_checkpoints_are_cosigned() {
    let key = cosigner_key(origin().as_str(), 2);
    let (cosigner, log) = (key.cosigner().to_string(), log_key(2).vkey());
    assert_eq!(Cosigner::parse(&cosigner).as_ref(), Ok(key.cosigner()));
    assert_eq!(Verifier::parse(&cosigner), Err(NoteError::VerifierKey));
    assert_eq!(Cosigner::parse(&log), Err(NoteError::VerifierKey));
    // Same seed, same name: still neither key's signature counts as the other's.
    let (checkpoint, line, _) = cosigned(&key);
    let by_witness_alone = format!("{}\n\n{line}", checkpoint.split_once("\n\n").unwrap().0);
    assert_eq!(note::open(&by_witness_alone, &[log_key(2).verifier().clone()]), Err(NoteError::Unsigned));
    assert_eq!(cosignatures(&checkpoint, &[key.cosigner().clone()]), Ok(Vec::new()));
    let endorsement = log_key(2).endorse_ingress("1", &[7; 32]);
    assert_eq!(key.cosign(&endorsement, AT), Err(NoteError::Checkpoint));
    assert_eq!(key.cosign("no note", AT), Err(NoteError::Malformed));
}
