//! The Google room against the counterpart of Cloud KMS, and against a network that fails in every way it can.
#![cfg(test)]

mod cloud;
mod damage;
mod faults;
mod import;

use base64::prelude::{BASE64_STANDARD, Engine};
use cloud::{Cloud, LEAST_PRIVILEGE, connect_with, key, version};
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::google_kms::{ConnectError, GoogleKms};
use keyfold_providers::{Context, EndpointError, Error, KeyProvider, KeyRef, KeyState, Unusable, Wrapped};
use reqwest::Method;
use secret::Secret;
use serde_json::json;
use std::sync::Arc;

const SECRET: [u8; 32] = [9; 32];
const CONTEXT: Context = Context::new([1; 32]);

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let cloud = Cloud::start().await;
    let hsm = json!({"purpose": "ENCRYPT_DECRYPT", "versionTemplate": {"protectionLevel": "HSM"}});
    let hsm = cloud.create_key("hsm", hsm).await;
    let (rsa, other_rsa) = (cloud.create_rsa_key("rsa", 2048).await, cloud.create_rsa_key("other", 3072).await);
    let cases = [
        (key("first"), key("second"), key("missing")),
        (hsm, key("first"), key("missing")),
        (version("first", 1), version("second", 1), version("first", 9)),
        (rsa, other_rsa, version("missing", 1)),
    ];
    for (key, other_key, missing_key) in cases {
        let provider = Arc::new(cloud.connect().await);
        contract::check(&Subject { provider, key, other_key, missing_key }).await;
    }
}

/// What the server itself opens, asked past the room.
#[tokio::test]
async fn google_binds_the_context_too() {
    let cloud = Cloud::start().await;
    let wrapped = wrap(&cloud.connect().await, &key("first")).await.unwrap();
    let decrypt = |aad: [u8; 32]| {
        let (ciphertext, aad) = (BASE64_STANDARD.encode(&wrapped.bytes), BASE64_STANDARD.encode(aad));
        json!({"ciphertext": ciphertext, "additionalAuthenticatedData": aad})
    };
    let path = format!("{}:decrypt", key("first").as_str());
    let opened = cloud.owner(Method::POST, &path, decrypt(*CONTEXT.as_bytes())).await;
    assert_eq!(opened["plaintext"], BASE64_STANDARD.encode([SECRET, *CONTEXT.as_bytes()].concat()));
    let another = reqwest::Client::new().post(format!("{}/v1/{path}", cloud.kms.url()));
    assert_eq!(another.bearer_auth("owner").json(&decrypt([2; 32])).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn follows_rotation() {
    let cloud = Cloud::start().await;
    let (kms, first) = (cloud.connect().await, key("first"));
    let old = wrap(&kms, &first).await.unwrap();
    cloud.rotate("first").await;
    assert_eq!(kms.inspect(&first).await.unwrap(), KeyState::Usable { version: "2".to_owned() });
    let new = wrap(&kms, &first).await.unwrap();
    assert_eq!((old.version.as_str(), new.version.as_str()), ("1", "2"));

    // Another process, that has wrapped nothing yet.
    let kms = cloud.connect().await;
    for wrapped in [&old, &new] {
        assert!(kms.unwrap_key(&first, wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
    }
    assert_eq!(wrap(&kms, &version("first", 1)).await.unwrap().version, "1", "a name with a version stays with it");
    let unwrapped = kms.unwrap_key(&version("first", 1), &new, &CONTEXT).await;
    assert!(matches!(unwrapped, Err(Error::Mismatch)), "{unwrapped:?}");

    cloud.set_state(&version("first", 1), "DISABLED").await;
    let retired = kms.unwrap_key(&first, &old, &CONTEXT).await;
    assert!(matches!(retired, Err(Error::KeyUnusable(Unusable::Disabled))), "{retired:?}");
    kms.unwrap_key(&first, &new, &CONTEXT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_states_apart() {
    let cloud = Cloud::start().await;
    let brief = json!({"purpose": "ENCRYPT_DECRYPT", "destroyScheduledDuration": "86400s"});
    let aes = cloud.create_key("brief", brief).await;
    let rsa = cloud.create_rsa_key("rsa", 2048).await;
    for (name, first) in [(aes, version("brief", 1)), (rsa.clone(), rsa)] {
        let kms = cloud.connect().await;
        let wrapped = wrap(&kms, &name).await.unwrap();
        cloud.set_state(&first, "DISABLED").await;
        expect_unusable(&kms, &name, &wrapped, Unusable::Disabled).await;
        cloud.set_state(&first, "ENABLED").await;
        assert!(kms.unwrap_key(&name, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));

        cloud.owner(Method::POST, &format!("{}:destroy", first.as_str()), json!({})).await;
        expect_unusable(&kms, &name, &wrapped, Unusable::PendingDeletion).await;
        cloud.owner(Method::POST, &format!("{}:restore", first.as_str()), json!({})).await;
        expect_unusable(&kms, &name, &wrapped, Unusable::Disabled).await;
    }
}

#[tokio::test]
async fn a_destroyed_version_is_gone() {
    let cloud = Cloud::start().await;
    let brief = json!({"purpose": "ENCRYPT_DECRYPT", "destroyScheduledDuration": "86400s"});
    let name = cloud.create_key("brief", brief).await;
    let account = cloud.kms.service_account(LEAST_PRIVILEGE);
    let wrapped = wrap(&connect_with(&account, &cloud.kms.url()).await.unwrap(), &name).await.unwrap();
    cloud.owner(Method::POST, &format!("{}:destroy", version("brief", 1).as_str()), json!({})).await;
    cloud.kms.set_clock_ahead(86_400);
    // Whatever looks at the keys by now sees it destroyed, and stays so when the clock goes back.
    cloud.owner(Method::GET, name.as_str(), json!({})).await;
    cloud.kms.set_clock_ahead(0);
    let kms = connect_with(&account, &cloud.kms.url()).await.unwrap();
    assert!(matches!(kms.inspect(&name).await, Err(Error::NoSuchKey)));
    assert!(matches!(wrap(&kms, &name).await, Err(Error::NoSuchKey)));
    assert!(matches!(kms.unwrap_key(&name, &wrapped, &CONTEXT).await, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn tells_refusal_from_absence() {
    let cloud = Cloud::start().await;
    let looking = cloud.connect_as(&LEAST_PRIVILEGE[..2], &cloud.kms.url()).await.unwrap();
    looking.inspect(&key("first")).await.unwrap();
    assert!(matches!(wrap(&looking, &key("first")).await, Err(Error::Refused)));
    assert!(matches!(wrap(&looking, &key("third")).await, Err(Error::NoSuchKey)));
    let nobody = cloud.connect_as(&[], &cloud.kms.url()).await.unwrap();
    assert!(matches!(nobody.inspect(&key("first")).await, Err(Error::Refused)));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_keys_that_do_not_fit() {
    let cloud = Cloud::start().await;
    cloud.create_rsa_key("rsa", 2048).await;
    let kms = cloud.connect().await;
    let unversioned = kms.inspect(&key("rsa")).await;
    assert!(matches!(unversioned, Err(Error::Broken(_))), "an RSA key needs its version: {unversioned:?}");
    assert!(matches!(wrap(&kms, &key("rsa")).await, Err(Error::Broken(_))));
    let names = ["", "first", "../keyRings", "projects/test/locations/europe-west1/keyRings/ring/cryptoKeys/first?x"];
    for name in names {
        assert!(matches!(kms.inspect(&KeyRef::new(name)).await, Err(Error::NoSuchKey)), "{name}");
    }
}

#[tokio::test]
async fn refuses_to_connect_in_clear_or_with_unknown_credentials() {
    let cloud = Cloud::start().await;
    let account = cloud.kms.service_account(LEAST_PRIVILEGE);
    let endpoint = connect_with(&account, "http://kms.example").await;
    assert!(matches!(endpoint, Err(ConnectError::Endpoint(EndpointError::Insecure))));
    assert!(matches!(connect_with("{", &cloud.kms.url()).await, Err(ConnectError::Json(_))));
    assert!(matches!(connect_with("{}", &cloud.kms.url()).await, Err(ConnectError::Type)));
    let keyless = connect_with(r#"{"type":"service_account"}"#, &cloud.kms.url()).await;
    assert!(matches!(keyless, Err(ConnectError::Credentials(_))));
}

async fn expect_unusable(kms: &GoogleKms, name: &KeyRef, wrapped: &Wrapped, reason: Unusable) {
    assert_eq!(kms.inspect(name).await.unwrap(), KeyState::Unusable(reason));
    let wrap = wrap(kms, name).await.map(drop);
    let unwrap = kms.unwrap_key(name, wrapped, &CONTEXT).await.map(drop);
    let altered = Wrapped { bytes: wrapped.bytes[1..].to_vec(), ..wrapped.clone() };
    let altered = kms.unwrap_key(name, &altered, &CONTEXT).await.map(drop);
    for (call, done) in [("wrap", wrap), ("unwrap", unwrap), ("unwrap of altered bytes", altered)] {
        assert!(matches!(done, Err(Error::KeyUnusable(why)) if why == reason), "{call}: {done:?}");
    }
}

async fn wrap(kms: &GoogleKms, key: &KeyRef) -> Result<Wrapped, Error> {
    kms.wrap_key(key, &Secret::copied_from(&SECRET), &CONTEXT).await
}
