//! Another implementation, Yubico's fido2 for Python: it takes what is taken here, and makes what is taken here.
//! `KEYFOLD_ORACLES` names the virtual environment that `./dev` installs.

use crate::{CHALLENGE, NOW, ORIGIN, bytes, person, relying_party};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterparts::authenticator::{Authenticator, Make};
use keyfold_identity::passkey::AttestationRoots;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A passkey is registered here and signs; both answers verify here, and go to the oracle.
fn registered(mut authenticator: Authenticator, root: Option<&str>) -> Value {
    let party = relying_party();
    let roots = root.map(|root| AttestationRoots::from_pem(root).unwrap());
    let (options, registration) = party.begin_registration(&person("ada"), &[], roots.as_ref()).unwrap();
    let answer = authenticator.create(&options);
    let passkey = party.finish_registration(&registration, &bytes(&answer), NOW).unwrap();
    let assertion = authenticator.get(&party.ask(std::slice::from_ref(&passkey), &CHALLENGE));
    party.verify(&[passkey], &CHALLENGE, &bytes(&assertion)).unwrap();
    json!({"options": options, "answer": answer, "root": root, "assertion": assertion})
}

#[test]
fn fido2_takes_our_passkeys_and_makes_passkeys_for_us() {
    let party = relying_party();
    let make = Make::new([7; 16], "authenticators");
    let plain = registered(Authenticator::new(ORIGIN), None);
    let attested = registered(Authenticator::of_make(ORIGIN, make.clone()), Some(make.root()));
    let ada = person("ada");
    let (create, registration) = party.begin_registration(&ada, &[], None).unwrap();
    let answers = ask(&json!({
        "rp_id": "keyfold.example",
        "origin": ORIGIN,
        "challenge": URL_SAFE_NO_PAD.encode(CHALLENGE),
        "registered": [plain, attested],
        "create": create,
        "get": party.ask(&[], &CHALLENGE),
    }));
    for algorithm in ["ES256", "RS256"] {
        let answer = &answers[algorithm];
        let passkey = party.finish_registration(&registration, &bytes(&answer["created"]), NOW);
        let passkey = passkey.unwrap_or_else(|error| panic!("{algorithm}: {error:?}"));
        let assertion = bytes(&answer["got"]);
        assert_eq!(party.claimed_person(&assertion).unwrap(), ada.id);
        assert_eq!(party.verify(&[passkey], &CHALLENGE, &assertion).unwrap().counter, 0, "{algorithm}");
    }
}

fn ask(question: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let oracles =
        std::env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    let mut command = Command::new(oracles.join("bin/python"));
    let command = command.arg(root.join("tests/oracles/passkeys.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?} failed");
    serde_json::from_slice(&output.stdout).unwrap()
}
