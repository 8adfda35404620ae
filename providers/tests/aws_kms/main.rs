//! The AWS room against two emulators of KMS and STS, and against answers that no healthy one gives.
#![cfg(test)]

mod environment;
mod faults;
mod identity;
mod import;
mod server;

use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::front::Front;
use environment::CREDENTIALS;
use keyfold_providers::aws_kms::{AwsKms, ConnectError, Options};
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::{Context, EndpointError, Error, KeyProvider, KeyRef, KeyState, RewrapKey, Unusable, Wrapped};
use secret::Secret;
use serde_json::json;
use server::{REGION, Server, connect_to};
use std::sync::Arc;

const SECRET: [u8; 32] = [9; 32];
const CONTEXT: Context = Context::new([1; 32]);

#[test]
fn keeps_the_contract() {
    environment::run("keeps_the_contract", &CREDENTIALS, async {
        let server = Server::localstack().await;
        contract::check(&subject(&server, "SYMMETRIC_DEFAULT").await).await;
        contract::check(&subject(&server, "RSA_2048").await).await;
    });
}

/// A second opinion on symmetric keys. moto neither encrypts with RSA nor minds the state of a key.
#[test]
fn keeps_the_contract_with_moto() {
    environment::run("keeps_the_contract_with_moto", &CREDENTIALS, async {
        let server = Server::moto().await;
        contract::check(&subject(&server, "SYMMETRIC_DEFAULT").await).await;
    });
}

/// What the server itself opens, asked past the room.
#[test]
fn the_server_binds_the_context_too() {
    environment::run("the_server_binds_the_context_too", &CREDENTIALS, async {
        let server = Server::localstack().await;
        let key = server.key("SYMMETRIC_DEFAULT").await;
        let wrapped = wrap(&server.connect().await, &key).await.unwrap();
        let decrypt = async |context: &str| {
            let blob = BASE64_STANDARD.encode(&wrapped.bytes);
            let context = json!({ "keyfold": context });
            let body = json!({"KeyId": key.as_str(), "CiphertextBlob": blob, "EncryptionContext": context});
            server.try_admin("Decrypt", body).await
        };
        let opened = decrypt(&"01".repeat(32)).await.unwrap();
        let payload = BASE64_STANDARD.encode([SECRET, *CONTEXT.as_bytes()].concat());
        assert_eq!(opened["Plaintext"], payload);
        assert_eq!(decrypt(&"02".repeat(32)).await, None);
    });
}

#[test]
fn tells_the_states_of_a_key_apart() {
    environment::run("tells_the_states_of_a_key_apart", &CREDENTIALS, async {
        let server = Server::localstack().await;
        for spec in ["SYMMETRIC_DEFAULT", "RSA_3072"] {
            let (key, kms) = (server.key(spec).await, server.connect().await);
            let id = json!({ "KeyId": key.as_str() });
            let wrapped = wrap(&kms, &key).await.unwrap();
            server.admin("DisableKey", id.clone()).await;
            assert_unusable(&kms, &key, &wrapped, Unusable::Disabled).await;
            server.admin("EnableKey", id.clone()).await;
            assert!(kms.unwrap_key(&key, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
            server.admin("ScheduleKeyDeletion", id.clone()).await;
            assert_unusable(&kms, &key, &wrapped, Unusable::PendingDeletion).await;
        }
    });
}

/// Each call says why, also where the bytes are not of this key.
async fn assert_unusable(kms: &AwsKms, key: &KeyRef, wrapped: &Wrapped, reason: Unusable) {
    assert_eq!(kms.inspect(key).await.unwrap(), KeyState::Unusable(reason));
    let garbage = |bytes: Vec<u8>, version: &str| Wrapped { bytes, version: version.to_owned() };
    let calls = [
        wrap(kms, key).await.map(drop),
        kms.unwrap_key(key, wrapped, &CONTEXT).await.map(drop),
        kms.unwrap_key(key, &garbage(vec![7; 256], ""), &CONTEXT).await.map(drop),
        kms.unwrap_key(key, &garbage(Vec::new(), ""), &CONTEXT).await.map(drop),
        kms.unwrap_key(key, &garbage(wrapped.bytes.clone(), "1"), &CONTEXT).await.map(drop),
        kms.rewrap_key(key, key, wrapped, &CONTEXT).await.map(drop),
    ];
    for call in calls {
        assert!(matches!(call, Err(Error::KeyUnusable(seen)) if seen == reason), "{call:?}");
    }
}

#[test]
fn rewraps_inside_kms_between_keys_of_both_kinds() {
    environment::run("rewraps_inside_kms_between_keys_of_both_kinds", &CREDENTIALS, async {
        let server = Server::localstack().await;
        let front = Front::before(&server.url).await;
        let kms = connect_to(&front.url()).await;
        let specs = ["SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT", "RSA_2048", "RSA_2048"];
        let keys = [
            server.key(specs[0]).await,
            server.key(specs[1]).await,
            server.key(specs[2]).await,
            server.key(specs[3]).await,
        ];
        for key in &keys {
            kms.inspect(key).await.unwrap();
        }
        for from in &keys {
            let wrapped = wrap(&kms, from).await.unwrap();
            for to in &keys {
                let before = front.requests();
                let rewrapped = kms.rewrap_key(from, to, &wrapped, &CONTEXT).await.unwrap();
                assert_eq!(front.requests() - before, 1, "one request, so no plaintext in between");
                assert!(kms.unwrap_key(to, &rewrapped, &CONTEXT).await.unwrap().matches(&SECRET));
            }
        }
        refuses_to_rewrap(&server, &kms, &keys).await;
    });
}

async fn refuses_to_rewrap(server: &Server, kms: &AwsKms, [first, second, ..]: &[KeyRef; 4]) {
    let wrapped = wrap(kms, first).await.unwrap();
    let of_another = kms.rewrap_key(second, first, &wrapped, &CONTEXT).await;
    assert!(matches!(of_another, Err(Error::Mismatch)), "{of_another:?}");
    let other_context = kms.rewrap_key(first, second, &wrapped, &Context::new([2; 32])).await;
    assert!(matches!(other_context, Err(Error::Mismatch)), "{other_context:?}");
    let missing = KeyRef::new("alias/none");
    let to_none = kms.rewrap_key(first, &missing, &wrapped, &CONTEXT).await;
    assert!(matches!(to_none, Err(Error::NoSuchKey)), "{to_none:?}");
    server.admin("ScheduleKeyDeletion", json!({ "KeyId": second.as_str() })).await;
    let to_dying = kms.rewrap_key(first, second, &wrapped, &CONTEXT).await;
    assert!(matches!(to_dying, Err(Error::KeyUnusable(Unusable::PendingDeletion))), "{to_dying:?}");
}

#[test]
fn finds_keys_by_id_arn_and_alias_and_sends_no_other_name() {
    environment::run("finds_keys_by_id_arn_and_alias_and_sends_no_other_name", &CREDENTIALS, async {
        let server = Server::localstack().await;
        let front = Front::before(&server.url).await;
        let (kms, arn) = (connect_to(&front.url()).await, server.key("SYMMETRIC_DEFAULT").await);
        let id = |arn: &KeyRef| arn.as_str().rsplit_once('/').unwrap().1.to_owned();
        let alias = |key: &KeyRef| json!({"AliasName": "alias/tenant-a", "TargetKeyId": id(key)});
        server.admin("CreateAlias", alias(&arn)).await;
        let wrapped = wrap(&kms, &arn).await.unwrap();
        for name in [arn.as_str(), &id(&arn), "alias/tenant-a"] {
            let opened = kms.unwrap_key(&KeyRef::new(name), &wrapped, &CONTEXT).await;
            assert!(opened.unwrap().matches(&SECRET), "{name}");
        }

        let rsa = server.key("RSA_2048").await;
        server.admin("UpdateAlias", alias(&rsa)).await;
        let moved = KeyRef::new("alias/tenant-a");
        kms.inspect(&moved).await.unwrap();
        assert_eq!(
            wrap(&kms, &moved).await.unwrap().bytes.len(),
            256,
            "an alias that has moved is asked for its algorithm"
        );

        let before = front.requests();
        for name in ["", " ", "alias/a b", "a\"b", "a\nb", "ключ", &"x".repeat(2049)] {
            assert!(matches!(kms.inspect(&KeyRef::new(name)).await, Err(Error::NoSuchKey)), "{name}");
        }
        assert_eq!(front.requests(), before);
    });
}

#[test]
fn refuses_keys_that_do_not_encrypt() {
    environment::run("refuses_keys_that_do_not_encrypt", &CREDENTIALS, async {
        let server = Server::localstack().await;
        let kms = server.connect().await;
        for (spec, usage) in
            [("RSA_2048", "SIGN_VERIFY"), ("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")]
        {
            let made = server.admin("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage})).await;
            let key = KeyRef::new(made["KeyMetadata"]["Arn"].as_str().unwrap());
            assert!(matches!(kms.inspect(&key).await, Err(Error::Broken(_))), "{spec}");
            assert!(matches!(wrap(&kms, &key).await, Err(Error::Broken(_))), "{spec}");
        }
    });
}

#[tokio::test]
async fn refuses_options_that_cannot_be_meant() {
    let refused = async |change: fn(&mut Options)| {
        let mut options = Options { region: REGION.to_owned(), ..Options::default() };
        change(&mut options);
        AwsKms::connect(options).await.unwrap_err()
    };
    let endpoint = |error| matches!(error, ConnectError::Endpoint(EndpointError::Insecure));
    assert!(endpoint(refused(|options| options.endpoint = Some("http://kms.example".to_owned())).await));
    assert!(endpoint(refused(|options| options.endpoint = Some("ftp://[::1]".to_owned())).await));
    let sts = refused(|options| {
        options.role_arn = Some("arn:aws:iam::111122223333:role/keyfold".to_owned());
        options.sts_endpoint = Some("http://sts.example".to_owned());
    });
    assert!(endpoint(sts.await));
    let no_url = refused(|options| options.endpoint = Some("kms".to_owned())).await;
    assert!(matches!(no_url, ConnectError::Endpoint(EndpointError::NoUrl)));
    let region = refused(|options| options.region = "eu-central-1.example.org/".to_owned()).await;
    assert!(matches!(region, ConnectError::Region));
    let fips =
        refused(|options| (options.fips, options.endpoint) = (true, Some("https://kms.example".to_owned()))).await;
    assert!(matches!(fips, ConnectError::FipsEndpoint));
    let no_role = refused(|options| options.external_id = Some("id".to_owned())).await;
    assert!(matches!(no_role, ConnectError::NoRole));
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let options = Options { region: REGION.to_owned(), ca_pem: Some(pem.into()), ..Options::default() };
        assert!(matches!(AwsKms::connect(options).await, Err(ConnectError::Authorities)), "{pem}");
    }
}

async fn subject(server: &Server, spec: &str) -> Subject {
    Subject {
        provider: Arc::new(server.connect().await),
        key: server.key(spec).await,
        other_key: server.key(spec).await,
        missing_key: KeyRef::new("1234abcd-12ab-34cd-56ef-1234567890ab"),
    }
}

async fn wrap(kms: &AwsKms, key: &KeyRef) -> Result<Wrapped, Error> {
    kms.wrap_key(key, &Secret::copied_from(&SECRET), &CONTEXT).await
}
