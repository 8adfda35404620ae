//! Signatures over a challenge of ours.

use crate::{CHALLENGE, ORIGIN, bytes, person, registered, relying_party};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterparts::authenticator::{Authenticator, Manner};
use keyfold_identity::passkey::{MAX_ANSWER, Passkey, PasskeyError, shows_clone};
use serde_json::Value;

fn one() -> (Authenticator, Passkey) {
    let mut authenticator = Authenticator::new(ORIGIN);
    let passkey = registered(&mut authenticator, &person("ada"));
    (authenticator, passkey)
}

/// Why what the authenticator signs is refused, when its manner is changed so.
fn refusal(change: impl FnOnce(&mut Manner)) -> PasskeyError {
    let (mut authenticator, passkey) = one();
    change(&mut authenticator.manner);
    let assertion = authenticator.get(&relying_party().ask(std::slice::from_ref(&passkey), &CHALLENGE));
    relying_party().verify(&[passkey], &CHALLENGE, &bytes(&assertion)).unwrap_err()
}

#[test]
fn what_is_signed_verifies_now_and_whenever_it_is_asked_again() {
    let (mut authenticator, passkey) = one();
    authenticator.manner.counter = Some(41);
    let asked = relying_party().ask(std::slice::from_ref(&passkey), &CHALLENGE);
    assert_eq!(asked["publicKey"]["challenge"], URL_SAFE_NO_PAD.encode(CHALLENGE));
    assert_eq!(asked["publicKey"]["userVerification"], "required");
    assert_eq!(asked["publicKey"]["rpId"], "keyfold.example");
    assert_eq!(asked["publicKey"]["allowCredentials"][0]["id"], *passkey.id());

    let assertion = bytes(&authenticator.get(&asked));
    let stored: Passkey = serde_json::from_str(&serde_json::to_string(&passkey).unwrap()).unwrap();
    let signed = relying_party().verify(&[stored], &CHALLENGE, &assertion).unwrap();
    assert_eq!((signed.credential, signed.counter), (passkey.id(), 42));
    authenticator.get(&asked);
    assert_eq!(relying_party().verify(&[passkey], &CHALLENGE, &assertion).unwrap().counter, 42);
}

#[test]
fn a_person_signs_in_without_a_name() {
    let (mut authenticator, passkey) = one();
    let asked = relying_party().ask(&[], &CHALLENGE);
    assert!(asked["publicKey"]["allowCredentials"].as_array().unwrap().is_empty());
    let assertion = bytes(&authenticator.get(&asked));
    assert_eq!(relying_party().claimed_person(&assertion).unwrap(), passkey.person());
    relying_party().verify(&[passkey], &CHALLENGE, &assertion).unwrap();
}

#[test]
fn each_wrong_manner_is_refused() {
    let site = |origin: &str| refusal(|manner| manner.origin = origin.to_owned());
    assert!(matches!(site("https://keyfold.example.org"), PasskeyError::Origin));
    assert!(matches!(site("https://sub.keyfold.example"), PasskeyError::Origin));
    assert!(matches!(site("https://keyfold.example:8443"), PasskeyError::Origin));
    assert!(matches!(site("http://keyfold.example"), PasskeyError::Origin));
    assert!(matches!(refusal(|manner| manner.rp_id = Some("example".into())), PasskeyError::RelyingParty));
    assert!(matches!(refusal(|manner| manner.kind = Some("webauthn.create".into())), PasskeyError::Ceremony));
    assert!(matches!(refusal(|manner| manner.present = false), PasskeyError::NotVerified));
    assert!(matches!(refusal(|manner| manner.verified = false), PasskeyError::NotVerified));
    assert!(matches!(refusal(|manner| manner.framed = true), PasskeyError::Framed));
    assert!(matches!(refusal(|manner| manner.synchronised = true), PasskeyError::Synchronised));
}

#[test]
fn a_signature_is_of_one_challenge_one_passkey_and_one_person() {
    let (mut authenticator, passkey) = one();
    let (mut other, others) = one();
    let own = bytes(&authenticator.get(&relying_party().ask(std::slice::from_ref(&passkey), &CHALLENGE)));
    let foreign = other.get(&relying_party().ask(std::slice::from_ref(&others), &CHALLENGE));
    let verify = |answer: &[u8], challenge| relying_party().verify(std::slice::from_ref(&passkey), challenge, answer);
    verify(&own, &CHALLENGE).unwrap();

    assert!(matches!(verify(&own, &[8; 32]), Err(PasskeyError::Challenge)));
    assert!(matches!(verify(&bytes(&foreign), &CHALLENGE), Err(PasskeyError::UnknownPasskey)));
    // Another's signature, under the name of this one's passkey.
    let mut renamed = foreign;
    (renamed["id"], renamed["rawId"]) = (passkey.id().into(), passkey.id().into());
    assert!(matches!(verify(&bytes(&renamed), &CHALLENGE), Err(PasskeyError::Person)));
    renamed["response"]["userHandle"] = URL_SAFE_NO_PAD.encode(passkey.person()).into();
    assert!(matches!(verify(&bytes(&renamed), &CHALLENGE), Err(PasskeyError::Signature)));
    // Passkeys that are for a second factor alone say no person: it is known by then.
    renamed["response"]["userHandle"] = Value::Null;
    assert!(matches!(relying_party().claimed_person(&bytes(&renamed)), Err(PasskeyError::Person)));
    let mut nameless: Value = serde_json::from_slice(&own).unwrap();
    nameless["response"]["userHandle"] = Value::Null;
    verify(&bytes(&nameless), &CHALLENGE).unwrap();
}

#[test]
fn no_bit_of_it_can_be_changed() {
    let (mut authenticator, passkey) = one();
    let assertion = authenticator.get(&relying_party().ask(std::slice::from_ref(&passkey), &CHALLENGE));
    for part in ["authenticatorData", "clientDataJSON", "signature"] {
        let original = URL_SAFE_NO_PAD.decode(assertion["response"][part].as_str().unwrap()).unwrap();
        for bit in 0..original.len() * 8 {
            let mut changed = original.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut assertion = assertion.clone();
            assertion["response"][part] = URL_SAFE_NO_PAD.encode(changed).into();
            let verified = relying_party().verify(std::slice::from_ref(&passkey), &CHALLENGE, &bytes(&assertion));
            assert!(verified.is_err(), "{part}, bit {bit}");
        }
    }
}

#[test]
fn long_answers_are_not_looked_at() {
    let (mut authenticator, passkey) = one();
    let passkeys = [passkey];
    let mut assertion = bytes(&authenticator.get(&relying_party().ask(&passkeys, &CHALLENGE)));
    assertion.resize(MAX_ANSWER, b' ');
    relying_party().verify(&passkeys, &CHALLENGE, &assertion).unwrap();
    assertion.push(b' ');
    assert!(matches!(relying_party().verify(&passkeys, &CHALLENGE, &assertion), Err(PasskeyError::TooLong)));
    assert!(matches!(relying_party().claimed_person(&assertion), Err(PasskeyError::TooLong)));
}

#[test]
fn a_counter_that_does_not_go_up_shows_a_clone() {
    let mut authenticator = Authenticator::new(ORIGIN);
    authenticator.manner.counter = Some(9);
    let passkeys = [registered(&mut authenticator, &person("ada"))];
    let count = |authenticator: &mut Authenticator| {
        let assertion = authenticator.get(&relying_party().ask(&passkeys, &CHALLENGE));
        relying_party().verify(&passkeys, &CHALLENGE, &bytes(&assertion)).unwrap().counter
    };
    let mut clone = authenticator.clone();
    let first = count(&mut authenticator);
    assert!(!shows_clone(passkeys[0].registered_counter(), first));
    assert!(shows_clone(first, count(&mut clone)));
    assert!(!shows_clone(first, count(&mut clone)));
    clone.manner.counter = Some(3);
    assert!(shows_clone(9, count(&mut clone)));
    clone.manner.counter = None;
    assert!(!shows_clone(0, count(&mut clone)) && shows_clone(first, 0));
}
