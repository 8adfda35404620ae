//! Checkpoints, endorsements and verifier keys: a text as it comes, or one that the log's own key signed.
#![no_main]

use audit::note::{LogKey, Verifier, open, open_ingress};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::STANDARD};
use keyfold_fuzz::{LOG_SEED, log_key};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<LogKey> = LazyLock::new(log_key);
static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&LOG_SEED).expect("a seed has 32 bytes"));

fuzz_target!(|data: &[u8]| {
    let Some((which, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    match which {
        0 => open_note(&text),
        1 => open_note(&signed(&text)),
        _ => parse_key(&text),
    }
});

/// What is accepted is spelled as the log itself would, is either a checkpoint or an endorsement, and cannot be altered.
fn open_note(note: &str) {
    let verifiers = std::slice::from_ref(KEY.verifier());
    let checkpoint = open(note, verifiers).map(|head| KEY.checkpoint(head.size, &head.root));
    let endorsement = open_ingress(note, verifiers).map(|of| KEY.endorse_ingress(&of.id, &of.key_hash));
    assert!(checkpoint.is_err() || endorsement.is_err());
    if let Ok(written) = checkpoint.or(endorsement) {
        let (text, _) = written.split_once("\n\n").expect("a note has signatures");
        assert!(note.starts_with(text), "{note}");
        let altered = note.replacen('\n', "\n1", 1);
        assert!(open(&altered, verifiers).is_err() && open_ingress(&altered, verifiers).is_err());
    }
}

fn signed(text: &str) -> String {
    let vkey = KEY.vkey();
    let mut parts = vkey.splitn(3, '+');
    let (name, id) = (parts.next().expect("a name"), parts.next().and_then(|id| hex::decode(id).ok()).expect("an id"));
    let text = format!("{text}\n");
    let signature = STANDARD.encode([&id, PAIR.sign(text.as_bytes()).as_ref()].concat());
    format!("{text}\n\u{2014} {name} {signature}\n")
}

fn parse_key(text: &str) {
    if let Ok(verifier) = Verifier::parse(text) {
        assert_eq!(verifier.to_string(), text.trim_end());
    }
}
