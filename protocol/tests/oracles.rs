//! Another implementation, Python's `cryptography`, agrees on every byte. `KEYFOLD_ORACLES` names its virtual environment.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use keyfold_protocol::{
    jws::{DeviceKey, PublicJwk, Signer, Unverified},
    record::{RecordName, SUITE, WrappingSecret},
    sealing::{Info, OpeningKey, Sealed, seal},
    transcript::Transcript,
};
use secret::Secret;
use serde_json::{Value, json};
use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use uuid::Uuid;

const ROUNDS: u8 = 20;
const URL: &str = "https://keyfold.example/v1/tenants/acme/devices";

/// What the script writes to its standard output; a script that fails fails the test.
fn python(script: &str, argument: &Path, input: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let oracles = env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    let python = oracles.join("bin/python");
    let mut child = Command::new(&python)
        .arg(root.join("tests/oracles").join(script))
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error} (see tests/oracles/requirements.txt)", python.display()));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn python_recomputes_every_vector() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let report = python("protocol_vectors.py", &folder, "");
    assert_eq!(report.lines().filter(|line| line.ends_with(" ok")).count(), 9, "{report}");
}

#[test]
fn python_opens_what_we_seal_and_signs_what_we_verify() {
    let (keys, infos): (Vec<_>, Vec<_>) = (0..ROUNDS).map(|round| (OpeningKey::generate(), info(round))).unzip();
    let payload =
        |round| WrappingSecret::try_from(Secret::new(vec![round; 32].into())).unwrap().payload(&context(round));
    let expected = |round: u8| [&[round; 32], context(round).as_bytes().as_slice()].concat();
    let signers = [DeviceKey::generate_p256(), DeviceKey::generate_ed25519()];
    let rounds = || (0..ROUNDS).zip(&keys).zip(&infos);
    let asked = json!({
        "open": rounds().map(|((round, key), info)| json!({
            "seed": hex_of(&key.to_seed()), "info": hex::encode(info.as_bytes()),
            "sealed": hex::encode(seal(key.public(), info, &payload(round)).unwrap()),
        })).collect::<Value>(),
        "seal": rounds().map(|((round, key), info)| json!({
            "public": hex::encode(key.public()), "info": hex::encode(info.as_bytes()),
            "payload": hex::encode(expected(round)),
        })).collect::<Value>(),
        "verify": signers.iter().map(|key| json!({
            "jwk": serde_json::from_str::<Value>(&key.public().to_json()).unwrap(),
            "body": String::from_utf8(key.sign_request(&Signer::Jwk(key.public().clone()), "n", URL, b"hello")).unwrap(),
        })).collect::<Value>(),
        "sign": [
            { "alg": "ES256", "url": URL, "nonce": "n", "payload": hex::encode("hello") },
            { "alg": "EdDSA", "url": URL, "nonce": "n", "payload": hex::encode("hello") },
        ],
    });
    let answer: Value = serde_json::from_str(&python("protocol_live.py", Path::new("-"), &asked.to_string())).unwrap();

    for ((round, key), info) in rounds() {
        let at = usize::from(round);
        assert_eq!(answer["opened"][at], hex::encode(expected(round)));
        let sealed = Sealed::try_from(hex::decode(answer["sealed"][at].as_str().unwrap()).unwrap()).unwrap();
        assert!(key.open(info, &sealed).unwrap().matches(&expected(round)));
        assert!(key.open(&info_of_another(round), &sealed).is_err());
        assert!(OpeningKey::generate().open(info, &sealed).is_err());
    }
    assert_eq!(answer["verified"], json!([hex::encode("hello"), hex::encode("hello")]));
    for signed in answer["signed"].as_array().unwrap() {
        let key: PublicJwk = serde_json::from_value(signed["jwk"].clone()).unwrap();
        let unverified = Unverified::parse(signed["body"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(unverified.signer, Signer::Jwk(key.clone()));
        assert_eq!(unverified.verify(&key).unwrap().payload, b"hello");
    }
}

fn context(round: u8) -> keyfold_protocol::record::Context {
    let name = RecordName {
        tenant: "acme".parse().unwrap(),
        user: "alice".parse().unwrap(),
        kind: "identity".parse().unwrap(),
        generation: 1 + u64::from(round),
        record: Uuid::from_u128(1),
        device: Uuid::from_u128(2),
        suite: SUITE,
    };
    name.context()
}

/// Wraps and releases in turn.
fn info(round: u8) -> Info {
    if round.is_multiple_of(2) {
        Info::wrap(&context(round))
    } else {
        Info::release(&context(round), &Transcript::from([round; 32]))
    }
}

fn info_of_another(round: u8) -> Info {
    Info::release(&context(round), &Transcript::from([round + 1; 32]))
}

#[expect(clippy::disallowed_methods, reason = "the oracle gets this key to open what was sealed to it")]
fn hex_of(secret: &Secret) -> String {
    hex::encode(secret.expose())
}
