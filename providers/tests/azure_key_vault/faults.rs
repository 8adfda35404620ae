//! Answers that no healthy vault gives, and none. Each call makes exactly one request: the room never tries again.

use crate::vault::{CONTEXT, Vault, first, wrap};
use counterparts::front::Fault;
use keyfold_providers::{Error, KeyProvider, Wrapped};
use std::time::{Duration, Instant};

/// Errors of wrap, unwrap and inspect while the vault's answers are spoilt.
async fn errors(vault: &Vault, fault: &Fault) -> [Error; 3] {
    let room = vault.signed_in().await;
    let wrapped = wrap(&room, &first()).await.unwrap();
    let front = vault.azure.vault_front();
    front.fail(None, fault.clone());
    let before = front.requests();
    let errors = [
        wrap(&room, &first()).await.unwrap_err(),
        room.unwrap_key(&first(), &wrapped, &CONTEXT).await.unwrap_err(),
        room.inspect(&first()).await.unwrap_err(),
    ];
    assert_eq!(front.requests(), before + 3, "one request for each call: {fault:?}");
    front.heal();
    errors
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Answer { status, headers: Vec::new(), body: body.to_owned() }
}

fn answer_with(status: u16, header: (&'static str, &'static str)) -> Fault {
    Fault::Answer { status, headers: vec![header], body: String::new() }
}

#[tokio::test]
async fn throttled() {
    let vault = Vault::start().await;
    let body = r#"{"error":{"code":"Throttled","message":"Request was not processed because too many requests were received."}}"#;
    for error in errors(&vault, &answer_with(429, ("retry-after", "7"))).await {
        assert!(matches!(error, Error::Throttled { retry_after: Some(after) } if after.as_secs() == 7), "{error:?}");
    }
    for error in errors(&vault, &answer(429, body)).await {
        assert!(matches!(error, Error::Throttled { retry_after: None }), "{error:?}");
    }
}

#[tokio::test]
async fn unavailable() {
    let vault = Vault::start().await;
    let failing = answer(500, r#"{"error":{"code":"InternalServerError","message":""}}"#);
    for fault in [failing, answer(503, "<html>"), answer(408, ""), Fault::CutMidAnswer, Fault::Reset] {
        for error in errors(&vault, &fault).await {
            assert!(matches!(error, Error::Unavailable { .. }), "{fault:?}: {error:?}");
        }
    }
    for error in errors(&vault, &answer_with(503, ("retry-after", "3"))).await {
        assert!(matches!(error, Error::Unavailable { retry_after: Some(after) } if after.as_secs() == 3), "{error:?}");
    }
}

#[tokio::test]
async fn broken() {
    let vault = Vault::start().await;
    let endless = answer(200, &format!(r#"{{"value":"AAAA"}}{}"#, " ".repeat(100_000)));
    let redirect = answer_with(307, ("location", "https://127.0.0.1:1/"));
    let of_a_proxy = answer(404, "<html>");
    let unknown = answer(400, r#"{"error":{"code":"Unheard","message":""}}"#);
    let no_json = answer(200, "<html>");
    let empty = answer(200, "{}");
    let no_base64 = answer(200, r#"{"kid":"k","value":"*"}"#);
    for fault in [Fault::Garbage, endless, redirect, of_a_proxy, unknown, no_json, empty, no_base64] {
        for error in errors(&vault, &fault).await {
            assert!(matches!(error, Error::Broken(_)), "{fault:?}: {error:?}");
        }
    }
}

/// A vault that claims to have opened what it cannot have opened, or to have wrapped under another key.
#[tokio::test]
async fn lying() {
    let vault = Vault::start().await;
    let other = format!("{}/keys/second/0123456789abcdef0123456789abcdef", vault.azure.url());
    let body = format!(r#"{{"kid":"{other}","value":"AAAA"}}"#);
    let [wrapped, unwrapped, _] = errors(&vault, &answer(200, &body)).await;
    assert!(matches!(wrapped, Error::Broken(_)), "{wrapped:?}");
    assert!(matches!(unwrapped, Error::Mismatch), "{unwrapped:?}");
}

#[tokio::test]
async fn silent() {
    let vault = Vault::start().await;
    let room = vault.signed_in().await;
    vault.azure.vault_front().fail(None, Fault::Hang);
    let start = Instant::now();
    let wrapped = Wrapped { bytes: vec![0; 256], version: "0123456789abcdef0123456789abcdef".to_owned() };
    let key = first();
    let (inspected, unwrapped) = tokio::join!(room.inspect(&key), room.unwrap_key(&key, &wrapped, &CONTEXT));
    assert!(matches!(inspected, Err(Error::Unavailable { .. })), "{inspected:?}");
    assert!(matches!(unwrapped, Err(Error::Unavailable { .. })), "{unwrapped:?}");
    assert!(start.elapsed() < Duration::from_secs(12), "a call ends at its deadline");
    // A call may be dropped at any time, and leaves nothing behind that the next one would wait for.
    let dropped = tokio::time::timeout(Duration::from_millis(50), room.inspect(&first())).await;
    assert!(dropped.is_err());
    vault.azure.vault_front().heal();
    wrap(&room, &first()).await.unwrap();
}

#[tokio::test]
async fn slow() {
    let vault = Vault::start().await;
    let room = vault.signed_in().await;
    vault.azure.vault_front().fail(1, Fault::Slow(Duration::from_millis(300)));
    let start = Instant::now();
    wrap(&room, &first()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
}

/// While nobody vouches for the broker, whatever the reason, the vault sees no token and no plaintext.
#[tokio::test]
async fn no_token() {
    for (fault, expected) in [
        (answer_with(429, ("retry-after", "7")), "Throttled { retry_after: Some(7s) }"),
        (answer(503, "<html>"), "Unavailable { retry_after: None }"),
        (Fault::Reset, "Unavailable { retry_after: None }"),
        (Fault::CutMidAnswer, "Unavailable { retry_after: None }"),
        (answer(400, r#"{"error":"unauthorized_client"}"#), "Refused"),
        (answer_with(401, ("www-authenticate", "Bearer")), "Refused"),
    ] {
        let vault = Vault::start().await;
        let entra = vault.azure.entra_front();
        entra.fail(None, fault.clone());
        let error = wrap(&vault.connect(), &first()).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{fault:?}");
        assert_eq!((entra.requests(), vault.azure.vault_front().requests()), (1, 1), "{fault:?}");
        assert!(vault.azure.vault_front().seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
    }
    let vault = Vault::start().await;
    vault.azure.entra_front().fail(None, Fault::Garbage);
    assert!(matches!(wrap(&vault.connect(), &first()).await, Err(Error::Broken(_))));
}
