//! Versions, validity, deletion, rights: what a key's owner does to it.

use crate::vault::{CONTEXT, SECRET, Vault, first, opens, wrap};
use keyfold_providers::azure_key_vault::{Algorithm, Kind};
use keyfold_providers::{Error, KeyProvider, KeyRef, KeyState, Unusable, Wrapped};
use reqwest::Method;
use secret::Secret;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn follows_rotation() {
    let vault = Vault::start().await;
    let room = vault.connect();
    let old = wrap(&room, &first()).await.unwrap();
    let version = vault.create("first", &json!({}));
    assert_eq!(room.inspect(&first()).await.unwrap(), KeyState::Usable { version: version.clone() });
    assert_eq!(wrap(&room, &first()).await.unwrap().version, version);
    assert!(opens(&room, &first(), &old).await, "the version that wrapped opens");
    // Another version's name on the same bytes.
    let moved = Wrapped { version, ..old };
    assert!(matches!(room.unwrap_key(&first(), &moved, &CONTEXT).await, Err(Error::Mismatch)));
}

#[tokio::test]
async fn keeps_to_a_pinned_version() {
    let vault = Vault::start().await;
    let room = vault.connect();
    let old = wrap(&room, &first()).await.unwrap();
    let pinned = KeyRef::new(format!("first/{}", old.version));
    vault.create("first", &json!({}));
    let new = wrap(&room, &first()).await.unwrap();
    assert_eq!(room.inspect(&pinned).await.unwrap(), KeyState::Usable { version: old.version.clone() });
    assert_eq!(wrap(&room, &pinned).await.unwrap().version, old.version);
    assert!(opens(&room, &pinned, &old).await);
    assert!(matches!(room.unwrap_key(&pinned, &new, &CONTEXT).await, Err(Error::Mismatch)));
    let missing = KeyRef::new("first/0123456789abcdef0123456789abcdef");
    assert!(matches!(wrap(&room, &missing).await, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn a_disabled_key_does_nothing() {
    for kind in [Kind::Vault, Kind::ManagedHsm] {
        let vault = Vault::start_as(kind, Algorithm::RsaOaep256).await;
        let room = vault.connect();
        let wrapped = wrap(&room, &first()).await.unwrap();
        vault.update("first", &json!({"enabled": false}));
        let garbage = Wrapped { bytes: vec![1], version: wrapped.version.clone() };
        for unwrapped in [&wrapped, &garbage] {
            let unwrapped = room.unwrap_key(&first(), unwrapped, &CONTEXT).await;
            assert!(matches!(unwrapped, Err(Error::KeyUnusable(Unusable::Disabled))), "{unwrapped:?}");
        }
        assert!(matches!(wrap(&room, &first()).await, Err(Error::KeyUnusable(Unusable::Disabled))));
        assert_eq!(room.inspect(&first()).await.unwrap(), KeyState::Unusable(Unusable::Disabled), "{kind:?}");
        vault.update("first", &json!({"enabled": true}));
        assert!(opens(&room, &first(), &wrapped).await);
    }
}

#[tokio::test]
async fn one_disabled_version_leaves_the_others() {
    let vault = Vault::start().await;
    let room = vault.connect();
    let old = wrap(&room, &first()).await.unwrap();
    vault.create("first", &json!({}));
    vault.own(&Method::PATCH, &format!("/keys/first/{}", old.version), &json!({"attributes": {"enabled": false}}));
    let unwrapped = room.unwrap_key(&first(), &old, &CONTEXT).await;
    assert!(matches!(unwrapped, Err(Error::KeyUnusable(Unusable::Disabled))));
    wrap(&room, &first()).await.unwrap();
}

/// Whoever lets a key expire has not asked for the loss of what it protects.
#[tokio::test]
async fn an_expired_key_still_opens() {
    for (kind, algorithm) in [
        (Kind::Vault, Algorithm::RsaOaep256),
        (Kind::ManagedHsm, Algorithm::A256Kw),
        (Kind::ManagedHsm, Algorithm::A256Gcm),
    ] {
        let vault = Vault::start_as(kind, algorithm).await;
        let room = vault.connect();
        let wrapped = wrap(&room, &first()).await.unwrap();
        vault.update("first", &json!({"exp": now() - 1}));
        assert_eq!(room.inspect(&first()).await.unwrap(), KeyState::Unusable(Unusable::Expired));
        assert!(matches!(wrap(&room, &first()).await, Err(Error::KeyUnusable(Unusable::Expired))), "{algorithm:?}");
        assert!(opens(&room, &first(), &wrapped).await);
        let altered = Wrapped { bytes: vec![1], ..wrapped };
        assert!(matches!(room.unwrap_key(&first(), &altered, &CONTEXT).await, Err(Error::Mismatch)));
    }
}

#[tokio::test]
async fn a_key_of_the_future_does_not_wrap_yet() {
    let vault = Vault::start().await;
    let room = vault.connect();
    vault.update("first", &json!({"nbf": now() + 3600}));
    assert_eq!(room.inspect(&first()).await.unwrap(), KeyState::Unusable(Unusable::NotYetValid));
    assert!(matches!(wrap(&room, &first()).await, Err(Error::KeyUnusable(Unusable::NotYetValid))));
}

#[tokio::test]
async fn tells_deletion_from_absence_where_it_may() {
    let vault = Vault::start().await;
    let room = vault.connect();
    let wrapped = wrap(&room, &first()).await.unwrap();
    vault.own(&Method::DELETE, "/keys/first", &json!({}));
    assert_eq!(room.inspect(&first()).await.unwrap(), KeyState::Unusable(Unusable::PendingDeletion));
    let pending = Err::<(), _>(Error::KeyUnusable(Unusable::PendingDeletion));
    for answer in [wrap(&room, &first()).await.map(drop), room.unwrap_key(&first(), &wrapped, &CONTEXT).await.map(drop)]
    {
        assert_eq!(format!("{answer:?}"), format!("{pending:?}"));
    }
    vault.azure.deny("getdeleted");
    assert!(matches!(room.inspect(&first()).await, Err(Error::NoSuchKey)));
    vault.own(&Method::POST, "/deletedkeys/first/recover", &json!({}));
    assert!(opens(&room, &first(), &wrapped).await, "what is recovered opens again");
}

#[tokio::test]
async fn tells_refusal_from_absence() {
    let vault = Vault::start().await;
    let room = vault.connect();
    let wrapped = wrap(&room, &first()).await.unwrap();
    vault.azure.deny("wrapkey");
    assert!(matches!(wrap(&room, &first()).await, Err(Error::Refused)));
    vault.azure.deny("unwrapkey");
    assert!(matches!(room.unwrap_key(&first(), &wrapped, &CONTEXT).await, Err(Error::Refused)));
    vault.azure.deny("get");
    assert!(matches!(wrap(&room, &first()).await, Err(Error::Refused)));
    assert!(matches!(room.inspect(&first()).await, Err(Error::Refused)));
}

#[tokio::test]
async fn refuses_keys_that_cannot_do_what_is_needed() {
    let vault = Vault::start_as(Kind::ManagedHsm, Algorithm::A256Kw).await;
    let create = |key: &str, body| vault.own(&Method::POST, &format!("/keys/{key}/create"), &body);
    create("rsa", json!({"kty": "RSA-HSM"}));
    create("wraps-only", json!({"kty": "oct-HSM", "key_ops": ["wrapKey"]}));
    let room = vault.connect();
    for key in ["rsa", "wraps-only"] {
        assert!(matches!(room.inspect(&KeyRef::new(key)).await, Err(Error::Broken(_))), "{key}");
    }
    let wrapped = room.wrap_key(&KeyRef::new("rsa"), &Secret::copied_from(&SECRET), &CONTEXT).await;
    assert!(matches!(wrapped, Err(Error::Broken(_))), "{wrapped:?}");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
