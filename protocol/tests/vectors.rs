//! The checked-in vectors are the ones the code makes, they mean what they say, and public vectors open.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../examples/vectors/made.rs"]
mod made;

use hpke::{Deserializable, Kem, kem::XWing};
use keyfold_protocol::{
    encoding::Base64Url,
    jws::{PublicJwk, Unverified},
    record::{BundleError, KeySchedule, RecordName, SUITE, WrappingSecret, open_bundle},
    sealing::{OpeningKey, Sealed},
};
use secret::Secret;
use serde_json::Value;
use std::{fs, path::PathBuf};

fn text(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases(name: &str) -> Vec<Value> {
    serde_json::from_str(&text(name)).unwrap()
}

fn bytes(case: &Value, member: &str) -> Vec<u8> {
    hex::decode(case[member].as_str().unwrap()).unwrap()
}

#[test]
fn the_checked_in_vectors_are_the_ones_made_now() {
    for (name, made) in made::files() {
        assert!(
            text(name) == made,
            "{name} differs: run `cargo run -p keyfold-protocol --example vectors` and look why"
        );
    }
}

#[test]
fn bundles_fail_as_the_vectors_say() {
    let name = RecordName {
        tenant: "acme".parse().unwrap(),
        user: "alice@example.org".parse().unwrap(),
        kind: "identity".parse().unwrap(),
        generation: 1,
        record: "0197a0c2-3b00-7c00-8d00-000000000001".parse().unwrap(),
        device: "0197a0c2-3b00-7c00-8d00-00000000000d".parse().unwrap(),
        suite: SUITE,
    };
    for case in cases("bundle.json") {
        assert_eq!(bytes(&case, "context"), name.context().as_bytes());
        let s_kms = WrappingSecret::try_from(Secret::new(bytes(&case, "s_kms").into())).unwrap();
        let keys = KeySchedule::new(&s_kms, None, &name.context());
        let commitment = bytes(&case, "commitment").try_into().unwrap();
        let failure = open_bundle(&keys, &commitment, &bytes(&case, "bundle")).err().map(|error| match error {
            BundleError::MaterialLength => "material length",
            BundleError::Format => "format",
            BundleError::Factors => "factors",
            BundleError::Commitment => "commitment",
            BundleError::Altered => "altered",
        });
        assert_eq!(failure, case["fails"].as_str(), "{}", case["what"]);
    }
}

#[test]
fn signed_requests_verify() {
    for case in cases("jws.json") {
        let key: PublicJwk = serde_json::from_value(case["jwk"].clone()).unwrap();
        let verified = Unverified::parse(case["body"].as_str().unwrap().as_bytes()).unwrap().verify(&key).unwrap();
        assert_eq!(verified.payload, case["payload"].as_str().unwrap().as_bytes());
    }
}

/// The public vectors for X-Wing in HPKE have ChaCha20-Poly1305 as AEAD, so they end at the KEM's shared secret.
#[test]
fn the_kem_is_that_of_the_public_vectors() {
    let cases = cases("hpke-xwing.json");
    assert!(!cases.is_empty());
    for case in cases {
        let key = OpeningKey::from_seed(&Secret::new(bytes(&case, "skRm").into())).unwrap();
        assert_eq!(key.public().as_ref(), bytes(&case, "pkRm"));
        let private = <XWing as Kem>::PrivateKey::from_bytes(&bytes(&case, "skRm")).unwrap();
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(&bytes(&case, "enc")).unwrap();
        let shared = XWing::decap(&private, None, &encapsulated).unwrap();
        assert_eq!(shared.0.as_slice(), bytes(&case, "shared_secret"));
    }
}

#[test]
fn a_sealed_payload_of_another_length_does_not_parse() {
    for case in cases("sealing.json") {
        let sealed = bytes(&case, "sealed");
        assert!(Sealed::try_from(sealed[1..].to_vec()).is_err());
        assert!(Sealed::try_from([&sealed[..], &[0]].concat()).is_err());
        let json = serde_json::to_string(&Base64Url(Sealed::try_from(sealed).unwrap())).unwrap();
        assert!(serde_json::from_str::<Base64Url<Sealed>>(&json).is_ok());
    }
}
