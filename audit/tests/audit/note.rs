//! Checkpoints and endorsements against the C2SP example and against `signed_note`; receipts against altered ones.

use crate::fixture::{Log, log_key};
use keyfold_audit::note::{self, NoteError, Verifier};
use keyfold_audit::receipt::{Receipt, ReceiptError};
use keyfold_audit::tree::ProofError;
use signed_note::{Note, Signer, StandardSigner, StandardVerifier, VerifierList};

#[test]
fn the_oracle_opens_our_checkpoint() {
    let (key, log) = (log_key(2), Log::sample(9));
    let list = VerifierList::new(vec![Box::new(StandardVerifier::new(&key.vkey()).unwrap())]);
    let note = Note::from_bytes(log.checkpoint().as_bytes()).unwrap();
    let (known, unknown) = note.verify(&list).unwrap();
    assert_eq!((known.len(), unknown.len()), (1, 0));
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size(), checkpoint.extension()), (log.stamp.origin.as_str(), 9, ""));
    assert_eq!(checkpoint.hash().0, log.edge().root());
}

/// A signer of the oracle, and our verifier of it.
fn signer(name: &str) -> (StandardSigner, Verifier) {
    let mut random = Counter(0);
    let (skey, vkey) = signed_note::generate_key(&mut random, name);
    (StandardSigner::new(&skey).unwrap(), Verifier::parse(&vkey).unwrap())
}

/// Bytes for a key that guards nothing.
struct Counter(u8);

impl rand_core::RngCore for Counter {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_add(41);
            *byte = self.0;
        });
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for Counter {}

fn signed(text: &str, signers: &[&dyn Signer]) -> String {
    let mut note = Note::new(text.as_bytes(), &[]).unwrap();
    note.add_sigs(signers).unwrap();
    String::from_utf8(note.to_bytes()).unwrap()
}

const ROOT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn we_open_what_the_oracle_signs_and_nothing_else() {
    let (log, log_verifier) = signer("log.example/a");
    let (witness, witness_verifier) = signer("witness.example");
    let text = format!("log.example/a\n7\n{ROOT}\n");
    let both = signed(&text, &[&log, &witness]);
    let known = [log_verifier, witness_verifier];
    assert_eq!(note::open(&both, &known).unwrap().size, 7);
    assert_eq!(note::open(&both, &known[..1]).unwrap().size, 7, "unknown signatures are ignored");
    assert_eq!(note::open(&both, &known[1..]), Err(NoteError::Unsigned), "a witness alone is not the log");
    assert_eq!(note::open(&both, &[]), Err(NoteError::Unsigned));
    assert_eq!(note::open(&both.replace("\n7\n", "\n8\n"), &known[..1]), Err(NoteError::Signature));
    let other = signed(&format!("log.example/b\n7\n{ROOT}\n"), &[&log]);
    assert_eq!(note::open(&other, &known), Err(NoteError::Unsigned), "the log's key signs for that log only");
    for bad in [
        format!("log.example/a\n07\n{ROOT}\n"),
        format!("log.example/a\n7\n{ROOT}\nextension\n"),
        "log.example/a\n7\nAAAA\n".to_owned(),
        "log.example/a\n7\n".to_owned(),
    ] {
        assert_eq!(note::open(&signed(&bad, &[&log]), &known), Err(NoteError::Checkpoint), "{bad}");
    }
    for bad in [
        "",
        "\n\n",
        "text\n",
        &both[..both.len() - 1],
        &both.replace('\u{2014}', "-"),
        &both.replace("\n7\n", "\n7\r\n"),
    ] {
        assert_eq!(note::open(bad, &known), Err(NoteError::Malformed), "{bad}");
    }
}

#[test]
fn the_oracle_opens_our_endorsement_and_finds_no_checkpoint_in_it() {
    let (key, hash) = (log_key(2), [7; 32]);
    let endorsed = key.endorse_ingress("2026-11", &hash);
    let opened = note::open_ingress(&endorsed, &[key.verifier().clone()]).unwrap();
    assert_eq!(
        (opened.origin, opened.id.as_str(), opened.key_hash),
        (key.verifier().origin().clone(), "2026-11", hash)
    );
    let list = VerifierList::new(vec![Box::new(StandardVerifier::new(&key.vkey()).unwrap())]);
    let oracle = Note::from_bytes(endorsed.as_bytes()).unwrap();
    assert_eq!(oracle.verify(&list).unwrap().0.len(), 1);
    let text = "broker.example/acme\ningress 2026-11 BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n";
    assert_eq!(oracle.text(), text.as_bytes());
    assert!(tlog_tiles::Checkpoint::from_bytes(oracle.text()).is_err());
}

#[test]
fn neither_a_checkpoint_nor_an_endorsement_is_ever_the_other() {
    let (key, known) = (log_key(2), [log_key(2).verifier().clone()]);
    let checkpoint = key.checkpoint(7, &[7; 32]);
    assert_eq!(note::open_ingress(&checkpoint, &known), Err(NoteError::Endorsement));
    // The last ids would break out of their line, if anything could.
    for id in ["1", "7", "", "a b", "7\nAAAA", "1\n7\nAAAA", "\n7", "1\n\n\u{2014} a AAAA", "\u{e9}"] {
        let endorsed = key.endorse_ingress(id, &[7; 32]);
        let as_checkpoint = note::open(&endorsed, &known);
        assert!(matches!(as_checkpoint, Err(NoteError::Checkpoint | NoteError::Malformed)), "{id:?} {as_checkpoint:?}");
        let opened = note::open_ingress(&endorsed, &known);
        assert_eq!(opened.is_ok(), ["1", "7"].contains(&id), "{id:?} {opened:?}");
    }
}

#[test]
fn an_endorsement_counts_under_a_known_key_of_its_log_only() {
    let (log, log_verifier) = signer("log.example/a");
    let good = signed(&format!("log.example/a\ningress 1 {ROOT}\n"), &[&log]);
    let known = [log_verifier];
    assert_eq!(note::open_ingress(&good, &known).unwrap().id, "1");
    assert_eq!(note::open_ingress(&good, &[log_key(2).verifier().clone()]), Err(NoteError::Unsigned));
    assert_eq!(note::open_ingress(&good.replace("ingress 1", "ingress 2"), &known), Err(NoteError::Signature));
    assert_eq!(note::open_ingress(&good[1..], &known), Err(NoteError::Signature));
    let other = signed(&format!("log.example/b\ningress 1 {ROOT}\n"), &[&log]);
    assert_eq!(note::open_ingress(&other, &known), Err(NoteError::Unsigned));
    for bad in [
        format!("log.example/a\nIngress 1 {ROOT}\n"),
        format!("log.example/a\ningress 1  {ROOT}\n"),
        format!("log.example/a\ningress 1 {ROOT}\nmore\n"),
        format!("ingress 1 {ROOT}\n"),
        "log.example/a\ningress 1 AAAA\n".to_owned(),
        "log.example/a\ningress 1\n".to_owned(),
    ] {
        assert_eq!(note::open_ingress(&signed(&bad, &[&log]), &known), Err(NoteError::Endorsement), "{bad}");
    }
}

#[test]
fn a_verifier_key_must_carry_its_own_id() {
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(Verifier::parse(vkey).unwrap().to_string(), vkey);
    for bad in [&vkey.replace("530d903a", "530d903b"), &vkey.replace("+Aek", "+Bek"), "example.com/foo", "", "a+b+c"] {
        assert_eq!(Verifier::parse(bad), Err(NoteError::VerifierKey), "{bad}");
    }
}

#[test]
fn a_receipt_proves_its_leaf_and_no_other() {
    let log = Log::sample(9);
    let verifiers = [log_key(2).verifier().clone()];
    let proof = log.edge().inclusion_of_recent(5).unwrap();
    let receipt = Receipt { index: 5, proof, checkpoint: log.checkpoint() };
    let text = receipt.to_text();
    let parsed = Receipt::parse(&text).unwrap();
    assert_eq!(parsed, receipt);
    assert_eq!(Receipt::parse(&text.replace("\nindex", "\nextra AAAA\nindex")).unwrap(), receipt);
    assert_eq!(parsed.verify(log.events[5].leaf.as_bytes(), &verifiers).unwrap().size, 9);

    assert_eq!(parsed.verify(log.events[4].leaf.as_bytes(), &verifiers), Err(ReceiptError::Proof(ProofError::Root)));
    let moved = Receipt { index: 4, ..receipt };
    assert_eq!(moved.verify(log.events[5].leaf.as_bytes(), &verifiers), Err(ReceiptError::Proof(ProofError::Root)));
    let other_key = [log_key(3).verifier().clone()];
    let refused = parsed.verify(log.events[5].leaf.as_bytes(), &other_key);
    assert_eq!(refused, Err(ReceiptError::Checkpoint(NoteError::Unsigned)));
    for bad in [
        "",
        "c2sp.org/tlog-proof@v1\n\n",
        &text.replace("@v1", "@v2"),
        &text.replace("index 5", "index 05"),
        &text.replace("index 5", "5"),
        &text.replace("\nindex", "\nextra !\nindex"),
    ] {
        assert_eq!(Receipt::parse(bad), Err(ReceiptError::Malformed), "{bad}");
    }
}
