use super::{Alg, DeviceKey, JwsError, MAX_BODY, PublicJwk, Signer, Unverified};
use crate::encoding::to_base64url;
use proptest::prelude::*;
use serde_json::json;

const NONCE: &str = "bm9uY2U";
const URL: &str = "https://keyfold.example/v1/tenants/acme/records";

fn device() -> Signer {
    Signer::Kid("0197a0c2-0000-7000-8000-000000000001".to_owned())
}

/// A body with `header` as it stands, under a signature of the right length.
fn body(header: &str) -> Vec<u8> {
    let (protected, signature) = (to_base64url(header.as_bytes()), to_base64url(&[7; 64]));
    json!({ "protected": protected, "payload": "", "signature": signature }).to_string().into_bytes()
}

#[test]
fn what_a_key_signed_verifies_with_that_key_alone() {
    for key in [DeviceKey::generate_p256(), DeviceKey::generate_ed25519()] {
        let body = key.sign_request(&device(), NONCE, URL, b"{}");
        let unverified = Unverified::parse(&body).unwrap();
        assert_eq!((&unverified.signer, unverified.nonce.as_str(), unverified.url.as_str()), (&device(), NONCE, URL));
        assert_eq!(unverified.verify(key.public()).unwrap().payload, b"{}");

        let stored = DeviceKey::from_pkcs8(&key.to_pkcs8()).unwrap();
        assert_eq!(stored.public(), key.public());

        let other = match key.public().alg() {
            Alg::Es256 => DeviceKey::generate_p256(),
            Alg::EdDsa => DeviceKey::generate_ed25519(),
        };
        let refused = Unverified::parse(&body).unwrap().verify(other.public());
        assert!(matches!(refused, Err(JwsError::Signature)), "{refused:?}");
    }
}

#[test]
fn a_key_of_the_other_type_is_refused_before_its_bytes_are_used() {
    let body = DeviceKey::generate_p256().sign_request(&device(), NONCE, URL, b"");
    let refused = Unverified::parse(&body).unwrap().verify(DeviceKey::generate_ed25519().public());
    assert!(matches!(refused, Err(JwsError::Algorithm)), "{refused:?}");
}

#[test]
fn every_signed_part_is_covered() {
    let key = DeviceKey::generate_ed25519();
    let body: serde_json::Value = serde_json::from_slice(&key.sign_request(&device(), NONCE, URL, b"{}")).unwrap();
    let other: serde_json::Value =
        serde_json::from_slice(&key.sign_request(&device(), "bg", "https://x/", b"[]")).unwrap();
    for part in ["protected", "payload", "signature"] {
        let mut mixed = body.clone();
        mixed[part] = other[part].clone();
        let refused = Unverified::parse(mixed.to_string().as_bytes()).unwrap().verify(key.public());
        assert!(matches!(refused, Err(JwsError::Signature)), "{part}: {refused:?}");
    }
}

#[test]
fn a_header_has_its_members_once_each_and_no_others() {
    let jwk = DeviceKey::generate_ed25519().public().to_json();
    assert!(Unverified::parse(&body(&format!(r#"{{"alg":"EdDSA","jwk":{jwk},"nonce":"n","url":"u"}}"#))).is_ok());
    assert!(Unverified::parse(&body(r#"{"alg":"ES256","kid":"d","nonce":"n","url":"u"}"#)).is_ok());
    let both = format!(r#"{{"alg":"EdDSA","jwk":{jwk},"kid":"d","nonce":"n","url":"u"}}"#);
    let null = format!(r#"{{"alg":"EdDSA","jwk":{jwk},"kid":null,"nonce":"n","url":"u"}}"#);
    let other_alg = format!(r#"{{"alg":"ES256","jwk":{jwk},"nonce":"n","url":"u"}}"#);
    for header in [
        both.as_str(),
        &null,
        &other_alg,
        r#"{"alg":"ES256","nonce":"n","url":"u"}"#,
        r#"{"alg":"none","kid":"d","nonce":"n","url":"u"}"#,
        r#"{"alg":"HS256","kid":"d","nonce":"n","url":"u"}"#,
        r#"{"alg":"ES256","kid":"d","nonce":"n","url":"u","crit":[]}"#,
        r#"{"alg":"ES256","kid":"d","nonce":"n","url":"u","url":"v"}"#,
        r#"{"alg":"ES256","kid":"d","kid":"d","nonce":"n","url":"u"}"#,
        r#"{"alg":"ES256","kid":"d","nonce":"","url":"u"}"#,
        r#"{"alg":"ES256","kid":"d e","nonce":"n","url":"u"}"#,
        r#"{"alg":"ES256","kid":"d","nonce":"n","url":"\u0000"}"#,
        r#"["ES256","d",null,"n","u"]"#,
    ] {
        let refused = Unverified::parse(&body(header));
        assert!(matches!(refused, Err(JwsError::Header)), "{header}: {refused:?}");
    }
}

#[test]
fn a_body_has_three_members_and_nothing_else() {
    let good = String::from_utf8(body(r#"{"alg":"ES256","kid":"d","nonce":"n","url":"u"}"#)).unwrap();
    assert!(Unverified::parse(good.as_bytes()).is_ok());
    for bad in [
        good.replace(r#""payload":"""#, r#""payload":"","header":{}"#),
        good.replace(r#""payload":"""#, r#""payload":"","payload":"""#),
        good.replace(r#""payload":"""#, r#""payload":"AA==""#),
        good.replace(r#""payload":"""#, r#""payload":"\u0041A""#),
        good.replace("BwcH", ""),
        format!("{good}{good}"),
        String::new(),
    ] {
        let refused = Unverified::parse(bad.as_bytes());
        assert!(matches!(refused, Err(JwsError::Body)), "{bad}: {refused:?}");
    }
    let refused = Unverified::parse(&vec![b' '; MAX_BODY + 1]);
    assert!(matches!(refused, Err(JwsError::TooLong)), "{refused:?}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), header in ".{0,200}") {
        let _ = Unverified::parse(&bytes);
        let _ = Unverified::parse(&body(&header));
        let _ = serde_json::from_slice::<PublicJwk>(&bytes);
    }

    #[test]
    fn any_payload_comes_back(payload in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let key = DeviceKey::generate_ed25519();
        let body = key.sign_request(&Signer::Jwk(key.public().clone()), NONCE, URL, &payload);
        prop_assert_eq!(Unverified::parse(&body).unwrap().verify(key.public()).unwrap().payload, payload);
    }
}
