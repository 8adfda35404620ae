//! Leaves: what is signed is what is read, and every tampered disclosure is an error.

use crate::fixture::{Log, START_MS, event, event_key, oracle, origin};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfold_audit::event::{Event, Exposure, Field, Kind, Outcome};
use keyfold_audit::leaf::{self, EventKey, LeafError, MAX_LEAF, SignedEvent, Stamp};
use secret::Secret;
use serde_json::{Value, json};
use uuid::Uuid;

fn full() -> Event {
    let texts = Event::new(Kind::RestoreReleased, Outcome::from_static("approved_2_of_3"));
    let texts =
        Field::ALL.iter().fold(texts, |event, field| event.with_text(*field, format!("{} \"é\"\n", field.as_str())));
    texts
        .kek("kek-1", 3)
        .provider("aws-kms")
        .correlation(Uuid::from_u128(5))
        .policy_digest([7; 32])
        .exposure(Exposure::PlaintextInBroker)
        .event_key(event_key(9).public_key().clone())
}

fn stamp() -> Stamp {
    Stamp { origin: origin(), boot: Uuid::from_u128(1), at_ms: START_MS + 999 }
}

fn keys() -> [leaf::EventPublicKey; 2] {
    [event_key(9).public_key().clone(), event_key(1).public_key().clone()]
}

#[test]
fn what_was_signed_is_what_is_read() {
    let (event, key) = (full(), event_key(1));
    let signed = event.sign(&stamp(), &key);
    let opened = leaf::open(&signed.leaf, &signed.disclosures, &keys()).unwrap();
    assert_eq!(opened.event, event);
    assert_eq!((&opened.origin, opened.jti, opened.iat), (&origin(), signed.jti, START_MS / 1000));
    assert_eq!((opened.boot, opened.kid.as_str()), (stamp().boot, key.public_key().kid()));
    assert_eq!(signed.jti.get_version_num(), 7);

    let withheld = leaf::open(&signed.leaf, &signed.disclosures[1..2], &keys()).unwrap().event;
    assert_eq!(withheld.text(Field::Device), event.text(Field::Device));
    assert_eq!(withheld.text(Field::Actor), None);
}

#[test]
fn the_longest_event_is_a_leaf() {
    let long = "\u{1}".repeat(5000);
    let event = Field::ALL
        .iter()
        .fold(full(), |event, field| event.with_text(*field, &long))
        .kek(&long, u64::MAX)
        .provider(&long);
    let origin = keyfold_audit::Origin::new(&"o".repeat(255)).unwrap();
    let signed = event.sign(&Stamp { origin, ..stamp() }, &event_key(1));
    assert!(signed.leaf.len() < MAX_LEAF / 2, "{}", signed.leaf.len());
    leaf::open(&signed.leaf, &signed.disclosures, &keys()).unwrap();
}

fn sample() -> SignedEvent {
    event(Kind::DeviceEnrolled).device("d-1").user("u-1").sign(&stamp(), &event_key(1))
}

#[test]
fn a_disclosure_that_does_not_belong_is_an_error() {
    let signed = sample();
    let [device, user] = signed.disclosures.as_slice() else { panic!("two fields are present") };
    let open = |disclosures: &[&str]| leaf::open(&signed.leaf, disclosures, &keys()).map(|_| ());
    let made = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let foreign = sample().disclosures[0].clone();
    assert_eq!(open(&[device, user]), Ok(()));
    assert_eq!(open(&[&foreign]), Err(LeafError::UnreferencedDisclosure));
    assert_eq!(open(&[device, &made(json!(["c2FsdA", "user", "u-2"]))]), Err(LeafError::UnreferencedDisclosure));
    assert_eq!(open(&[device, user, ""]), Err(LeafError::UnreferencedDisclosure));
    assert_eq!(open(&[&format!("{device}=")]), Err(LeafError::UnreferencedDisclosure));
    assert_eq!(open(&[device, user, device]), Err(LeafError::DuplicateDisclosure));
}

/// A leaf of the event key itself with other content: what a broken or hostile signer would make.
fn forged(change: impl Fn(&mut Value, &mut Value)) -> String {
    let mut parts =
        sample().leaf.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect::<Vec<_>>().into_iter();
    let mut json = || serde_json::from_slice::<Value>(&parts.next().unwrap()).unwrap();
    let (mut header, mut claims) = (json(), json());
    change(&mut header, &mut claims);
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(pair.sign(text.as_bytes())))
}

#[test]
fn a_leaf_of_another_form_is_refused_even_when_signed() {
    let open = |leaf: &str| leaf::open::<&str>(leaf, &[], &keys()).map(|_| ());
    assert_eq!(open(&forged(|_, _| ())), Ok(()));
    let claims = |change: fn(&mut Value)| open(&forged(move |_, claims| change(claims)));
    assert_eq!(claims(|c| c["device"] = c["user"].clone()), Err(LeafError::DuplicateDigest));
    assert_eq!(claims(|c| c["device"]["_sd"] = json!([])), Err(LeafError::Claims));
    assert_eq!(claims(|c| c["device"]["clear"] = json!("d-1")), Err(LeafError::Claims));
    assert_eq!(claims(|c| c["wrapped_key"] = json!("AAAA")), Err(LeafError::Claims));
    assert_eq!(claims(|c| c["v"] = json!(2)), Err(LeafError::Claims));
    assert_eq!(claims(|c| c["evt"] = json!("restore.given")), Err(LeafError::Claims));
    assert_eq!(claims(|c| c["iat"] = json!(u64::MAX)), Err(LeafError::Claims));
    assert_eq!(claims(|c| c["_sd_alg"] = json!("sha-512")), Err(LeafError::Claims));
    let header = |change: fn(&mut Value)| open(&forged(move |header, _| change(header)));
    assert_eq!(header(|h| h["typ"] = json!("JWT")), Err(LeafError::Malformed));
    assert_eq!(header(|h| h["alg"] = json!("none")), Err(LeafError::Malformed));
    assert_eq!(header(|h| h["jwk"] = json!({})), Err(LeafError::Malformed));
    assert_eq!(header(|h| h["kid"] = json!("A".repeat(43))), Err(LeafError::UnknownKey));
}

#[test]
fn altered_bytes_are_refused() {
    let SignedEvent { leaf, .. } = sample();
    for at in 0..leaf.len() {
        let mut altered = leaf.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(leaf::open::<&str>(&altered, &[], &keys()).is_err(), "byte {at}");
    }
    assert_eq!(leaf::open::<&str>(&(leaf.clone() + ".AA"), &[], &keys()), Err(LeafError::Malformed));
    assert_eq!(leaf::open::<&str>("", &[], &keys()), Err(LeafError::Malformed));
    let other = EventKey::from_seed(&Secret::copied_from(&[3; 32])).unwrap();
    assert_eq!(leaf::open::<&str>(&leaf, &[], &[other.public_key().clone()]), Err(LeafError::UnknownKey));
}

/// The Python library `sd-jwt` verifies our leaves and gives back what was disclosed.
#[test]
fn an_independent_library_agrees() {
    let key = event_key(1);
    let jwk = |key: &EventKey| json!({"kty": "OKP", "crv": "Ed25519", "x": key.public_key().x()});
    let signed = full().sign(&stamp(), &key);
    let presentation = format!("{}~{}~", signed.leaf, signed.disclosures.join("~"));
    let undisclosed = Log::sample(4).events.into_iter().map(|event| event.leaf + "~");
    let presentations: Vec<_> = [presentation].into_iter().chain(undisclosed).collect();
    let input = json!({"jwk": jwk(&key), "presentations": presentations});
    let answer: Value = serde_json::from_str(&oracle("audit_sd_jwt.py", &[], &input.to_string())).unwrap();
    assert_eq!(answer["thumbprint"], key.public_key().kid());
    let payload = &answer["payloads"][0];
    for field in Field::ALL {
        assert_eq!(payload[field.as_str()][field.as_str()], full().text(field).unwrap());
    }
    assert_eq!(
        (payload["evt"].as_str(), payload["iss"].as_str()),
        (Some("restore.released"), Some("broker.example/acme"))
    );
    assert_eq!(payload["kek"], json!({"id": "kek-1", "version": 3}));
    assert_eq!(answer["payloads"].as_array().unwrap().len(), 5);
    assert_eq!(answer["payloads"][2]["device"], json!({}));
}
