//! Writes the first inputs of every target into `seeds/<target>/`: the test vectors, and one good input of each kind.
//!
//! Run it from the root of the repository, where nothing is instrumented:
//! `cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds`

use audit::{event::Kind, receipt::Receipt, tile::push_entry, tree::Edge};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey, PublicEncryptingKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use keyfold_fuzz::{
    MESSAGES, context, event_key, import_parameters, log_key, opening_key, release, signed, wrapping_secret,
};
use policies::PolicySet;
use protocol::{
    ceremony::{OaepHash, Parameters, WrappingMechanism},
    encoding::to_base64url,
    jws::DeviceKey,
    sealing::{Info, seal},
};
use providers::software::{Keystore, Software};
use secret::Secret;
use serde_json::{Value, json};
use std::{error::Error, fs, path::Path};

const UUID: &str = "0197a0c2-3b00-7c00-8d00-00000000000d";

fn main() -> Result<(), Box<dyn Error>> {
    jws()?;
    messages()?;
    protocol_rest()?;
    audit()?;
    write("policy", "default", PolicySet::default_set().text())?;
    write("policy", "permit", r#"@id("all") permit (principal, action, resource) when { context.now > 0 };"#)?;
    keystore()?;
    ceremony()?;
    write("delivered", "whole", [0, 1, 2, 3, 4, 5])?;
    write("add_checkpoint", "grown", tagged(1, format!("old 2\n{}", STANDARD.encode([7; 32]))))?;
    write("device_state", "state", tagged(1, device_state().to_string()))?;
    Ok(())
}

fn write(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}

fn tagged(which: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[which], bytes.as_ref()].concat()
}

fn vectors(name: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(name);
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

fn jws() -> Result<(), Box<dyn Error>> {
    for (at, case) in vectors("jws.json")?.iter().enumerate() {
        write("jws", &format!("body-{at}"), tagged(0, text(case, "body")))?;
        let jwk = json!({"alg": "EdDSA", "jwk": case["jwk"], "nonce": "bm9uY2U", "url": "https://keyfold.example/"});
        write("jws", &format!("jwk-{at}"), tagged(1, jwk.to_string()))?;
    }
    let kid = json!({"alg": "ES256", "kid": UUID, "nonce": "bm9uY2U", "url": "https://keyfold.example/v1"});
    write("jws", "kid", tagged(1, kid.to_string()))
}

/// In the order of [`MESSAGES`], each of which takes its own.
fn messages() -> Result<(), Box<dyn Error>> {
    for (which, message) in message_examples().iter().enumerate() {
        let message = message.to_string();
        MESSAGES[which](message.as_bytes()).map_err(|error| format!("message {which}: {error}: {message}"))?;
        write("messages", &which.to_string(), tagged(u8::try_from(which)?, message))?;
    }
    Ok(())
}

fn message_examples() -> [Value; MESSAGES.len()] {
    let (hash, bundle) = (to_base64url(&[7; 32]), to_base64url(&[1; 60]));
    let sealed = to_base64url(&[8; protocol::sealing::SEALED_LEN]);
    let (log, ingress) = (log_keys(), ingress());
    let entry =
        json!({"record": UUID, "kind": "identity", "generation": 1, "suite": 1, "device": UUID, "wrapped_at": 1});
    let released = json!({"record": UUID, "kind": "identity", "generation": 1, "suite": 1, "device": UUID,
        "sealed": sealed, "commitment": hash, "bundle": bundle});
    [
        json!({"code": "KF-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-Z0ZT", "name": "phone", "platform": "Android 17"}),
        json!({"device": UUID, "tenant": "acme", "user": "alice", "state": "active", "log": log, "ingress": ingress,
            "policy": hash}),
        json!({"device": UUID, "tenant": "acme", "user": "alice", "name": "phone", "platform": "Android 17",
            "state": "suspended", "enrolled_at": 1, "ingress": ingress, "policy": hash}),
        json!({"record": UUID, "kind": "identity", "generation": 1, "suite": 1, "ingress": "1", "sealed": sealed,
            "commitment": hash, "bundle": bundle}),
        json!({"record": UUID, "generation": 1, "receipt": "receipt", "leaf": "leaf"}),
        json!({"records": [entry]}),
        json!({"kinds": ["identity"], "receive_key": ingress["key"], "reason": "new phone",
            "id_token": "e30.e30.e30"}),
        json!({"restore": UUID, "state": "approved", "transcript": hash, "records": [entry], "policy": hash,
            "needs": {"approvals": 1, "own_device": true, "step_up": false}, "match_code": "07", "not_before": 1, "expires_at": 2}),
        json!({"transcript": hash}),
        json!({"records": [released], "receipt": "receipt", "leaf": "leaf"}),
        json!({"transcript": hash}),
        json!({"type": "about:blank", "title": "Refused", "status": 403, "code": "denied"}),
    ]
}

fn log_keys() -> Value {
    json!({"origin": log_key().verifier().origin().as_str(), "vkeys": [log_key().vkey()]})
}

fn ingress() -> Value {
    let key = opening_key();
    let endorsement = log_key().endorse_ingress("1", &key.public().hash());
    json!({"id": "1", "key": to_base64url(key.public().as_ref()), "endorsement": endorsement})
}

fn protocol_rest() -> Result<(), Box<dyn Error>> {
    for (at, case) in vectors("enrolment-code.json")?.iter().enumerate() {
        write("enrolment_code", &at.to_string(), text(case, "code"))?;
    }
    for (at, case) in vectors("bundle.json")?.iter().enumerate() {
        write("bundle", &at.to_string(), tagged(0, hex::decode(text(case, "bundle"))?))?;
    }
    write("bundle", "material", tagged(20, b"the key material of a record"))?;
    let payload = wrapping_secret().payload(&context());
    write("sealing", "sealed", tagged(0, seal(opening_key().public(), &Info::wrap(&context()), &payload)?))?;
    write("sealing", "key", tagged(1, opening_key().public()))
}

fn audit() -> Result<(), Box<dyn Error>> {
    let event = signed(1, &release(), &event_key(1));
    let claims = event.leaf.split('.').nth(1).ok_or("a leaf has claims")?;
    write("leaf", "leaf", tagged(0, [&event.leaf, "~", &event.disclosures.join("~")].concat()))?;
    write("leaf", "claims", tagged(1, protocol::encoding::from_base64url(claims)?))?;
    let mut edge = Edge::new();
    for leaf in [b"first".as_slice(), b"leaf", b"third"] {
        edge.append(audit::tree::leaf_hash(leaf));
    }
    let checkpoint = log_key().checkpoint(edge.size(), &edge.root());
    let (head, _) = checkpoint.split_once("\n\n").ok_or("a note has signatures")?;
    write("note", "note", tagged(0, &checkpoint))?;
    write("note", "head", tagged(1, head))?;
    let endorsement = log_key().endorse_ingress("1", &opening_key().public().hash());
    write("note", "endorsement", tagged(0, &endorsement))?;
    write("note", "vkey", tagged(2, log_key().vkey()))?;
    let proof = edge.inclusion_of_recent(1).ok_or("the leaf is recent")?;
    write("receipt", "receipt", Receipt { index: 1, proof: proof.clone(), checkpoint }.to_text())?;
    let numbers = [1_u64.to_be_bytes(), 3_u64.to_be_bytes()].concat();
    let hashes = [[edge.root(), audit::tree::leaf_hash(b"leaf")].as_slice(), &proof].concat();
    write("proof", "inclusion", [numbers.as_slice(), hashes.as_flattened()].concat())?;
    tiles(&event.leaf)?;
    exports()
}

fn tiles(leaf: &str) -> Result<(), Box<dyn Error>> {
    for (at, path) in ["tile/0/000", "tile/1/x001/x234/067.p/7", "tile/entries/x001/000.p/255"].iter().enumerate() {
        write("tile", &format!("path-{at}"), path)?;
    }
    let mut bundle = Vec::new();
    push_entry(&mut bundle, leaf.as_bytes())?;
    write("tile", "bundle", &bundle)?;
    // One event, and the entries replaced under a checkpoint of the log's own.
    let edit = [&[0x85], u16::try_from(bundle.len())?.to_be_bytes().as_slice(), &bundle].concat();
    write("verify", "operator", [&[1, 0, 0, 0], edit.as_slice()].concat())
}

fn exports() -> Result<(), Box<dyn Error>> {
    let kind = |kind| Kind::ALL.iter().position(|known| *known == kind).and_then(|at| u8::try_from(at).ok());
    let kind = |name| kind(name).ok_or("a kind has a place");
    let (intent, released) = (kind(Kind::RestoreIntent)?, kind(Kind::RestoreReleased)?);
    let (rotated, wrapped) = (kind(Kind::LogKeyRotated)?, kind(Kind::RecordWrapped)?);
    write("verify", "restore", [2, intent, 1, 4, released, 1, 4])?;
    write("verify", "rotation", [3, wrapped, 0, 0, rotated, 0, 2, wrapped, 0, 5])?;
    write("verify", "altered", [1, wrapped, 0, 0, 1, 0, 2, b'n', b'o'])
}

/// The one that the target opens, too; and two that somebody without the passphrase made of it.
fn keystore() -> Result<(), Box<dyn Error>> {
    let (folder, passphrase) = (tempfile::tempdir()?, Secret::copied_from(b"fuzz"));
    let path = folder.path().join("keystore");
    Keystore::create(&path, &passphrase)?;
    let software = Software::open(&path, &passphrase)?;
    for name in ["first", "second", "disabled"] {
        software.create_key(name)?;
    }
    software.set_state("disabled", false)?;
    let good = fs::read_to_string(path)?;
    write("keystore", "enabled", good.replace(r#""state": "disabled""#, r#""state": "enabled""#))?;
    write("keystore", "renamed", good.replace(r#""first""#, r#""third""#).replace(r#""second""#, r#""first""#))?;
    write("keystore", "good", good)
}

/// Parameters of both mechanisms, material, and the wrapping key alone.
fn ceremony() -> Result<(), Box<dyn Error>> {
    let key: PublicEncryptingKey = PrivateDecryptingKey::generate(KeySize::Rsa2048)?.public_key();
    let key: PublicKeyX509Der<'_> = key.as_der()?;
    let parameters = import_parameters(key.as_ref());
    let mut direct = Parameters { mechanism: WrappingMechanism::RsaOaep, hash: OaepHash::Sha1, ..parameters.clone() };
    direct.expires_at = Some(4_000_000_000_000);
    let material = parameters.confirm(&parameters.fingerprint(), 0)?.wrap(&Secret::copied_from(&[7; 32]))?;
    write("ceremony", "parameters", tagged(0, serde_json::to_vec(&parameters)?))?;
    write("ceremony", "direct", tagged(0, serde_json::to_vec(&direct)?))?;
    write("ceremony", "material", tagged(1, serde_json::to_vec(&material)?))?;
    write("ceremony", "key", tagged(2, key.as_ref()))
}

fn device_state() -> Value {
    #[expect(clippy::disallowed_methods, reason = "a key that protects nothing")]
    let key = to_base64url(DeviceKey::generate_ed25519().to_pkcs8().expose());
    json!({
        "version": 1, "broker": {"url": "https://keyfold.example", "roots_pem": ""}, "key": key, "device": UUID,
        "tenant": "acme", "user": "alice", "log": log_keys(), "ingress": ingress(), "generations": {"identity": 1},
        "restore": null,
    })
}
