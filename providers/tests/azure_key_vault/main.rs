//! The room of Azure Key Vault against the counterpart that Microsoft's own clients are run against.
#![cfg(test)]

mod faults;
mod import;
mod sign_in;
mod states;
mod vault;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use keyfold_providers::azure_key_vault::{Algorithm, AzureKeyVault, ConnectError, Kind, Options};
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::{Error, KeyProvider, KeyRef, Wrapped};
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use vault::{CONTEXT, SECRET, Vault, first, opens, wrap};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_under_rsa_in_a_vault() {
    keeps_the_contract(Kind::Vault, Algorithm::RsaOaep256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_under_rsa_in_a_managed_hsm() {
    keeps_the_contract(Kind::ManagedHsm, Algorithm::RsaOaep256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_under_aes_key_wrap() {
    keeps_the_contract(Kind::ManagedHsm, Algorithm::A256Kw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_under_aes_gcm() {
    keeps_the_contract(Kind::ManagedHsm, Algorithm::A256Gcm).await;
}

async fn keeps_the_contract(kind: Kind, algorithm: Algorithm) {
    let vault = Vault::start_as(kind, algorithm).await;
    contract::check(&Subject {
        provider: Arc::new(vault.connect()),
        key: first(),
        other_key: KeyRef::new("second"),
        missing_key: KeyRef::new("third"),
    })
    .await;
}

/// What the service itself opens, asked past the room.
#[tokio::test]
async fn the_service_opens_what_was_wrapped() {
    for (kind, algorithm, name) in
        [(Kind::Vault, Algorithm::RsaOaep256, "RSA-OAEP-256"), (Kind::ManagedHsm, Algorithm::A256Kw, "A256KW")]
    {
        let vault = Vault::start_as(kind, algorithm).await;
        let wrapped = wrap(&vault.connect(), &first()).await.unwrap();
        let path = format!("/keys/first/{}/unwrapkey", wrapped.version);
        let opened = vault.own(&Method::POST, &path, &json!({"alg": name, "value": encode(&wrapped.bytes)}));
        assert_eq!(opened["value"], encode(&[SECRET, *CONTEXT.as_bytes()].concat()), "{name}");
    }
}

#[tokio::test]
async fn the_service_binds_the_context_under_aes_gcm() {
    let vault = Vault::start_as(Kind::ManagedHsm, Algorithm::A256Gcm).await;
    let wrapped = wrap(&vault.connect(), &first()).await.unwrap();
    let decrypt = |context: &[u8]| {
        let (iv, rest) = wrapped.bytes.split_at(12);
        let (value, tag) = rest.split_at(64);
        let [iv, value, tag, aad] = [iv, value, tag, context].map(encode);
        let body = json!({"alg": "A256GCM", "iv": iv, "value": value, "tag": tag, "aad": aad});
        vault.azure.own(&Method::POST, &format!("/keys/first/{}/decrypt", wrapped.version), &body)
    };
    let opened = decrypt(CONTEXT.as_bytes()).unwrap();
    assert_eq!(opened["value"], encode(&[SECRET, *CONTEXT.as_bytes()].concat()));
    assert_eq!(decrypt(&[2; 32]).unwrap_err()["error"]["code"], "BadParameter");
}

/// A change of the algorithm loses nothing.
#[tokio::test]
async fn opens_what_another_algorithm_wrapped() {
    let vault = Vault::start_as(Kind::ManagedHsm, Algorithm::A256Kw).await;
    let wrapped = wrap(&vault.connect(), &first()).await.unwrap();
    let room = AzureKeyVault::connect(Options { algorithm: Algorithm::A256Gcm, ..vault.options() }).unwrap();
    assert!(opens(&room, &first(), &wrapped).await);
}

#[tokio::test]
async fn one_request_for_each_call() {
    let vault = Vault::start().await;
    let room = vault.connect();
    room.inspect(&first()).await.unwrap();
    assert_eq!(vault.azure.vault_front().requests(), 2, "the first is answered with a challenge");
    let wrapped = wrap(&room, &first()).await.unwrap();
    assert!(opens(&room, &first(), &wrapped).await);
    let paths: Vec<String> = vault.azure.vault_front().seen().into_iter().map(|seen| seen.path).collect();
    let version = &wrapped.version;
    let expected = [
        "/keys/first/?api-version=2025-07-01".to_owned(),
        "/keys/first/?api-version=2025-07-01".to_owned(),
        "/keys/first//wrapkey?api-version=2025-07-01".to_owned(),
        format!("/keys/first/{version}/unwrapkey?api-version=2025-07-01"),
    ];
    assert_eq!(paths, expected);
    assert_eq!(vault.azure.entra_front().requests(), 1);
}

#[tokio::test]
async fn asks_for_no_key_that_no_vault_can_have() {
    let vault = Vault::start().await;
    let room = vault.signed_in().await;
    let asked = vault.azure.vault_front().requests();
    let version = "0123456789abcdef0123456789abcdef";
    let long = "k".repeat(128);
    for name in ["", ".", "..", "first/..", "first/", "/first", "first?x", "first%2F", "a_b", "first/0123", &long] {
        assert!(matches!(room.inspect(&KeyRef::new(name)).await, Err(Error::NoSuchKey)), "{name}");
    }
    let upper = format!("first/{}", version.to_uppercase());
    assert!(matches!(wrap(&room, &KeyRef::new(upper)).await, Err(Error::NoSuchKey)));
    assert_eq!(vault.azure.vault_front().requests(), asked);
    let wrapped = Wrapped { bytes: vec![0; 256], version: "../second".to_owned() };
    assert!(matches!(room.unwrap_key(&first(), &wrapped, &CONTEXT).await, Err(Error::Mismatch)));
    assert!(!vault.azure.vault_front().seen().iter().any(|seen| seen.path.contains("second")));
}

#[tokio::test]
async fn refuses_options_that_cannot_be_right() {
    let vault = Vault::start().await;
    let refused = |change: &dyn Fn(&mut Options)| {
        let mut options = vault.options();
        change(&mut options);
        AzureKeyVault::connect(options).unwrap_err()
    };
    let address = |url: &'static str| refused(&move |options| options.vault_url = url.to_owned());
    for url in ["http://127.0.0.1:1", "vault", "ftp://vault.azure.net"] {
        assert!(matches!(address(url), ConnectError::Address), "{url}");
    }
    let in_clear = refused(&|options| options.authority_host = Some("http://127.0.0.1:1".to_owned()));
    assert!(matches!(in_clear, ConnectError::Address));
    assert!(matches!(refused(&|options| options.algorithm = Algorithm::A256Kw), ConnectError::Algorithm));
    let key = |pem: &'static str| refused(&move |options| sign_in::replace_key(options, pem));
    assert!(matches!(key("none"), ConnectError::Key));
}

#[tokio::test]
async fn trusts_no_authority_but_the_one_given() {
    let vault = Vault::start().await;
    let room = AzureKeyVault::connect(Options { ca_pem: None, ..vault.options() }).unwrap();
    assert!(matches!(room.inspect(&first()).await, Err(Error::Unavailable { .. })));
    assert_eq!(vault.azure.vault_front().requests(), 0);
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
