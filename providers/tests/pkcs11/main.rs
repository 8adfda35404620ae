//! The PKCS#11 room against four real modules, OpenSC's tool, AWS-LC, Wycheproof and a module that misbehaves.
#![cfg(test)]

mod bad;
mod modules;
mod token;
mod vectors;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::pkcs11::{CreateKeyError, Mechanism, OpenError, Options, Pkcs11, TokenUri};
use keyfold_providers::{Context, Error, KeyProvider, KeyRef, KeyState, Unusable, Wrapped};
use secret::Secret;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};
use token::with_token;
use tokio::time::sleep;

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

        let session = token.session();
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
        let session = token.session();
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
fn waits_for_a_token_that_is_not_there() {
    with_token("waits_for_a_token_that_is_not_there", async |token| {
        let nowhere = Options { module: "/nonexistent.so".into(), ..token.options() };
        let missing = Pkcs11::open(nowhere).await.unwrap_err();
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

#[test]
fn names_keys_by_uri() {
    with_token("names_keys_by_uri", async |token| {
        let hsm = token.open().await;
        let usage = [Attribute::Wrap(true), Attribute::Unwrap(true)];
        modules::generate_aes(&token.session(), "first", &[1], &usage);
        modules::generate_aes(&token.session(), "first", &[0xfe, 2], &usage);
        let inspect = async |name: &str| hsm.inspect(&KeyRef::new(name)).await;
        assert!(matches!(inspect("first").await, Err(Error::Broken(_))), "two keys of one label are ambiguous");
        for name in ["pkcs11:id=%01", "pkcs11:object=first;id=%FE%02;type=secret-key"] {
            assert_eq!(inspect(name).await.unwrap(), KeyState::Usable { version: "aes-kw".into() }, "{name}");
        }
        for name in
            ["pkcs11:id=%03", "pkcs11:id=%01;type=private", "pkcs11:id=1", "pkcs11:id=%0", "pkcs11:colour=red", ""]
        {
            assert!(matches!(inspect(name).await, Err(Error::NoSuchKey)), "{name}");
        }
        let wrapped = wrap(&hsm, &KeyRef::new("pkcs11:id=%01")).await.unwrap();
        let other = hsm.unwrap_key(&KeyRef::new("pkcs11:id=%FE%02"), &wrapped, &CONTEXT).await;
        assert!(matches!(other, Err(Error::Mismatch)));
    });
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
async fn within_a_second<T, E: Debug>(call: impl AsyncFnMut() -> Result<T, E>) -> T {
    within(Duration::from_secs(1), call).await
}

async fn within<T, E: Debug>(time: Duration, mut call: impl AsyncFnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(start.elapsed() < time, "still {error:?} after {time:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn kek(session: &Session, label: &str) -> ObjectHandle {
    session.find_objects(&[Attribute::Label(label.as_bytes().to_vec())]).unwrap()[0]
}
