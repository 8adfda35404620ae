//! Registrations of passkeys.

use crate::{NOW, ORIGIN, bytes, person, registered, relying_party};
use counterparts::authenticator::{Authenticator, Manner};
use keyfold_identity::passkey::{MAX_ANSWER, PasskeyError, RelyingParty};
use url::Url;

fn refusal(change: impl FnOnce(&mut Manner)) -> PasskeyError {
    let mut authenticator = Authenticator::new(ORIGIN);
    change(&mut authenticator.manner);
    let (options, registration) = relying_party().begin_registration(&person("ada"), &[], None).unwrap();
    let answer = authenticator.create(&options);
    relying_party().finish_registration(&registration, &bytes(&answer), NOW).unwrap_err()
}

#[test]
fn a_discoverable_passkey_with_user_verification_is_asked_for_and_kept() {
    let mut authenticator = Authenticator::new(ORIGIN);
    authenticator.manner.counter = Some(9);
    let person = person("ada");
    let (options, registration) = relying_party().begin_registration(&person, &[], None).unwrap();
    let asked = &options["publicKey"]["authenticatorSelection"];
    assert_eq!(
        [&asked["residentKey"], &asked["requireResidentKey"], &asked["userVerification"]],
        [&"required".into(), &true.into(), &"required".into()] as [&serde_json::Value; 3]
    );

    let kept = serde_json::from_str(&serde_json::to_string(&registration).unwrap()).unwrap();
    let answer = authenticator.create(&options);
    let passkey = relying_party().finish_registration(&kept, &bytes(&answer), NOW).unwrap();
    assert_eq!((passkey.id(), passkey.person()), (answer["id"].as_str().unwrap().to_owned(), person.id));
    assert_eq!((passkey.registered_counter(), passkey.is_synchronised(), passkey.name.as_str()), (9, false, ""));
    assert!(!passkey.is_attested() && passkey.aaguid().is_none());
}

#[test]
fn each_wrong_manner_is_refused() {
    assert!(matches!(refusal(|manner| manner.origin = "https://evil.example".into()), PasskeyError::Origin));
    assert!(matches!(refusal(|manner| manner.rp_id = Some("example".into())), PasskeyError::RelyingParty));
    assert!(matches!(refusal(|manner| manner.kind = Some("webauthn.get".into())), PasskeyError::Ceremony));
    assert!(matches!(refusal(|manner| manner.present = false), PasskeyError::NotVerified));
    assert!(matches!(refusal(|manner| manner.verified = false), PasskeyError::NotVerified));
    assert!(matches!(refusal(|manner| manner.framed = true), PasskeyError::Framed));
}

#[test]
fn an_answer_is_to_one_registration_and_makes_no_passkey_twice() {
    let ada = person("ada");
    let mut authenticator = Authenticator::new(ORIGIN);
    let passkey = registered(&mut authenticator, &ada);
    let (options, first) = relying_party().begin_registration(&ada, &[], None).unwrap();
    let answer = bytes(&authenticator.create(&options));
    let (again, second) = relying_party().begin_registration(&ada, std::slice::from_ref(&passkey), None).unwrap();
    assert_ne!(options["publicKey"]["challenge"], again["publicKey"]["challenge"]);
    assert_eq!(again["publicKey"]["excludeCredentials"][0]["id"], *passkey.id());
    let refused = relying_party().finish_registration(&second, &answer, NOW);
    assert!(matches!(refused, Err(PasskeyError::Challenge)));

    let made = relying_party().finish_registration(&first, &answer, NOW).unwrap();
    let mut excluding = serde_json::to_value(&first).unwrap();
    excluding["state"]["exclude_credentials"] = serde_json::json!([made.id()]);
    let excluding = serde_json::from_value(excluding).unwrap();
    let refused = relying_party().finish_registration(&excluding, &answer, NOW);
    assert!(matches!(refused, Err(PasskeyError::Refused(_))));
}

#[test]
fn long_answers_and_empty_names_are_refused() {
    let (_, registration) = relying_party().begin_registration(&person("ada"), &[], None).unwrap();
    let long = vec![b' '; MAX_ANSWER + 1];
    let refused = relying_party().finish_registration(&registration, &long, NOW);
    assert!(matches!(refused, Err(PasskeyError::TooLong)));
    let refused = relying_party().finish_registration(&registration, b"{}", NOW);
    assert!(matches!(refused, Err(PasskeyError::Malformed(_))));
    assert!(matches!(relying_party().begin_registration(&person(""), &[], None), Err(PasskeyError::Refused(_))));
}

#[test]
fn passkeys_need_a_domain_and_https() {
    let made = |url: &str| RelyingParty::new(&Url::parse(url).unwrap(), "Keyfold").is_ok();
    assert!(made("https://keyfold.example") && made("https://localhost:8443") && made("http://localhost:8080"));
    assert!(!made("http://keyfold.example") && !made("https://192.0.2.1") && !made("https://[2001:db8::1]"));
    assert!(!made("ftp://localhost") && !made("data:text/plain,x"));
}
