//! Signed requests: a body as it comes, or a protected header in a body that is well formed otherwise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    encoding::to_base64url,
    jws::{DeviceKey, PublicJwk, Signer, Unverified},
};
use serde_json::{Value, json};
use std::sync::LazyLock;

static STRANGER: LazyLock<PublicJwk> = LazyLock::new(|| DeviceKey::generate_ed25519().public().clone());

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, body)) => {
            read(body);
        }
        Some((_, header)) => {
            if let Some(unverified) = read(&body_with(header)) {
                says_the_same(&unverified, header);
            }
        }
        None => {}
    }
});

fn body_with(header: &[u8]) -> Vec<u8> {
    let (protected, signature) = (to_base64url(header), to_base64url(&[0; 64]));
    json!({"protected": protected, "payload": "", "signature": signature}).to_string().into_bytes()
}

/// A key that is accepted has one spelling, and a key that signed nothing verifies nothing.
fn read(body: &[u8]) -> Option<Unverified> {
    let unverified = Unverified::parse(body).ok()?;
    let again = || Unverified::parse(body).expect("what was read once is read twice");
    assert!(again().verify(&STRANGER).is_err());
    if let Signer::Jwk(jwk) = &unverified.signer {
        let spelled: PublicJwk = serde_json::from_str(&jwk.to_json()).expect("a key's own JSON is a key");
        assert_eq!((&spelled, spelled.thumbprint()), (jwk, jwk.thumbprint()));
        let _ = again().verify(jwk);
    }
    Some(unverified)
}

/// Another JSON reader finds exactly four members, with the same texts.
fn says_the_same(unverified: &Unverified, header: &[u8]) {
    let members: Value = serde_json::from_slice(header).expect("a header is JSON");
    assert_eq!(members.as_object().map(serde_json::Map::len), Some(4));
    assert_eq!((&members["nonce"], &members["url"]), (&json!(unverified.nonce), &json!(unverified.url)));
    match &unverified.signer {
        Signer::Kid(kid) => assert_eq!(members["kid"], json!(kid)),
        Signer::Jwk(jwk) => assert_eq!(members["jwk"], serde_json::to_value(jwk).expect("a key is JSON")),
    }
}
