//! The OpenBao room against the real server, and against one that fails in every way a server can.
#![cfg(test)]

mod faults;
mod imports;
mod logins;
mod server;
mod sessions;

use base64::prelude::{BASE64_STANDARD, Engine};
use keyfold_providers::contract::{self, Subject};
use keyfold_providers::openbao::{OpenBao, Options};
use keyfold_providers::{Context, Error, KeyProvider, KeyRef, KeyState, Unusable, Wrapped};
use reqwest::Method;
use secret::Secret;
use serde_json::json;
use server::Server;
use std::sync::Arc;

const SECRET: [u8; 32] = [9; 32];
const CONTEXT: Context = Context::new([1; 32]);
/// The policy of the README.
const LEAST_PRIVILEGE: &str = r#"
    path "team/transit/encrypt/*" { capabilities = ["update"] }
    path "team/transit/decrypt/*" { capabilities = ["update"] }
    path "team/transit/keys/*"    { capabilities = ["read"] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let server = Server::start().await;
    // The root token could create keys: that the contract holds for it shows that no wrap does.
    contract::check(&subject(server.connect().await)).await;
    contract::check(&subject(server.connect_as(LEAST_PRIVILEGE, "1h").await)).await;
    server.admin(Method::POST, "team/transit/config/keys", json!({"disable_upsert": true})).await;
    contract::check(&subject(server.connect().await)).await;
}

/// What the server itself opens, asked past the room.
#[tokio::test]
async fn the_server_binds_the_context_too() {
    let server = Server::start().await;
    let wrapped = wrap(&server.connect().await, &KeyRef::new("first")).await.unwrap();
    let decrypt = async |context: [u8; 32]| {
        let ciphertext = str::from_utf8(&wrapped.bytes).unwrap();
        let body = json!({"ciphertext": ciphertext, "associated_data": BASE64_STANDARD.encode(context)});
        server.try_admin(Method::POST, "team/transit/decrypt/first", body).await
    };
    let opened = decrypt(*CONTEXT.as_bytes()).await.unwrap();
    let payload = BASE64_STANDARD.encode([SECRET, *CONTEXT.as_bytes()].concat());
    assert_eq!(opened["data"]["plaintext"], payload);
    assert_eq!(decrypt([2; 32]).await, None);
}

#[tokio::test]
async fn follows_rotation_and_deletion() {
    let (server, first) = (Server::start().await, KeyRef::new("first"));
    let bao = server.connect().await;
    let old = wrap(&bao, &first).await.unwrap();
    server.admin(Method::POST, "team/transit/keys/first/rotate", json!({})).await;
    assert_eq!(bao.inspect(&first).await.unwrap(), KeyState::Usable { version: "2".to_owned() });
    assert_eq!(wrap(&bao, &first).await.unwrap().version, "2");
    assert!(bao.unwrap_key(&first, &old, &CONTEXT).await.unwrap().matches(&SECRET));

    let oldest = json!({"min_decryption_version": 2, "min_encryption_version": 2, "deletion_allowed": true});
    server.admin(Method::POST, "team/transit/keys/first/config", oldest).await;
    let retired = bao.unwrap_key(&first, &old, &CONTEXT).await;
    assert!(matches!(retired, Err(Error::KeyUnusable(Unusable::Disabled))));
    server.admin(Method::POST, "team/transit/keys/first/trim", json!({"min_available_version": 2})).await;
    let trimmed = bao.unwrap_key(&first, &old, &CONTEXT).await;
    assert!(matches!(trimmed, Err(Error::KeyUnusable(Unusable::Disabled))));
    let new = wrap(&bao, &first).await.unwrap();
    assert!(bao.unwrap_key(&first, &new, &CONTEXT).await.unwrap().matches(&SECRET));

    server.admin(Method::DELETE, "team/transit/keys/first/soft-delete", json!({})).await;
    let deleted = bao.unwrap_key(&first, &old, &CONTEXT).await;
    assert!(matches!(deleted, Err(Error::KeyUnusable(Unusable::PendingDeletion))));
    assert!(matches!(wrap(&bao, &first).await, Err(Error::KeyUnusable(Unusable::PendingDeletion))));
    assert_eq!(bao.inspect(&first).await.unwrap(), KeyState::Unusable(Unusable::PendingDeletion));

    server.admin(Method::DELETE, "team/transit/keys/first", json!({})).await;
    assert!(matches!(bao.unwrap_key(&first, &new, &CONTEXT).await, Err(Error::NoSuchKey)));
    assert!(matches!(wrap(&bao, &first).await, Err(Error::NoSuchKey)));
    assert!(matches!(bao.inspect(&first).await, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn opens_nothing_that_the_server_would_open_for_another() {
    let (server, first) = (Server::start().await, KeyRef::new("first"));
    let bao = server.connect().await;
    let wrapped = wrap(&bao, &first).await.unwrap();

    // Go's base64 ignores line breaks and unused bits, so the server opens more than one spelling.
    let mut broken = wrapped.clone();
    broken.bytes.insert(20, b'\n');
    assert!(matches!(bao.unwrap_key(&first, &broken, &CONTEXT).await, Err(Error::Mismatch)));
    let mut quoted = wrapped.clone();
    quoted.bytes.extend(br#"","associated_data":""#);
    assert!(matches!(bao.unwrap_key(&first, &quoted, &CONTEXT).await, Err(Error::Mismatch)));
    for name in ["", ".", "..", "../keys", "first/../first", "first?x", "first%2F", "keys/first"] {
        assert!(matches!(bao.inspect(&KeyRef::new(name)).await, Err(Error::NoSuchKey)), "{name}");
    }
}

#[tokio::test]
async fn tells_refusal_from_absence() {
    let server = Server::start().await;
    let bao = server.connect_as(r#"path "team/transit/keys/*" { capabilities = ["read"] }"#, "1h").await;
    assert!(matches!(wrap(&bao, &KeyRef::new("first")).await, Err(Error::Refused)));
    assert!(matches!(wrap(&bao, &KeyRef::new("third")).await, Err(Error::NoSuchKey)));

    let token = server.token(LEAST_PRIVILEGE, "1h").await;
    let another = OpenBao::connect(Options { ca_pem: None, ..server.options(token) }).await.unwrap();
    let wrapped = wrap(&another, &KeyRef::new("first")).await;
    assert!(matches!(wrapped, Err(Error::Unavailable { .. })), "an unknown certificate authority is not trusted");
}

#[tokio::test]
async fn refuses_keys_without_associated_data() {
    let server = Server::start().await;
    for (name, key) in [("rsa", json!({"type": "rsa-2048"})), ("derived", json!({"derived": true}))] {
        server.admin(Method::POST, &format!("team/transit/keys/{name}"), key).await;
        let (bao, key) = (server.connect().await, KeyRef::new(name));
        assert!(matches!(bao.inspect(&key).await, Err(Error::Broken(_))), "{name}");
        assert!(matches!(wrap(&bao, &key).await, Err(Error::Broken(_))), "{name}");
    }
}

fn subject(bao: OpenBao) -> Subject {
    Subject {
        provider: Arc::new(bao),
        key: KeyRef::new("first"),
        other_key: KeyRef::new("second"),
        missing_key: KeyRef::new("third"),
    }
}

async fn wrap(bao: &OpenBao, key: &KeyRef) -> Result<Wrapped, Error> {
    bao.wrap_key(key, &Secret::copied_from(&SECRET), &CONTEXT).await
}
