//! Webhooks, verified by another implementation of Standard Webhooks.

use crate::letters::HOSTILE;
use crate::samples::{all, envelope};
use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::front::{Fault, Front, Seen};
use counterparts::webhook::Webhook as Receiver;
use keyfold_notices::{Envelope, Recipient, Trouble, Webhook};
use secret::Secret;
use serde_json::{Value, json};
use sinks::https::Connection;
use sinks::webhook::Endpoint;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

fn webhook(url: &str, keys: &[&str]) -> (Webhook, Vec<String>) {
    let keys: Vec<Secret> = keys.iter().map(|key| Secret::copied_from(key.as_bytes())).collect();
    let connection = Connection {
        ca_pem: None,
        identity_pem: None,
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        timeout: Duration::from_secs(20),
    };
    let endpoint = Endpoint::open(url, &keys, &connection).unwrap();
    let public_keys = endpoint.public_keys();
    (Webhook::new(endpoint), public_keys)
}

/// What `tests/oracles/webhook.py` says.
fn verified(question: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder =
        std::env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    let mut command = Command::new(folder.join("bin/python"));
    command.arg(root.join("tests/oracles/webhook.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut oracle = command.spawn().unwrap();
    oracle.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = oracle.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_implementation_verifies_every_notice() {
    let receiver = Receiver::start().await;
    let front = Front::before(&receiver.url()).await;
    front.fail(None, Fault::Answer { status: 204, headers: vec![], body: String::new() });
    let hmac = format!("whsec_{}", BASE64_STANDARD.encode([1; 32]));
    let ed25519 = format!("whsk_{}", BASE64_STANDARD.encode([2; 32]));
    let (webhook, public_keys) = webhook(&format!("{}/notices", front.url()), &[&hmac, &ed25519]);
    let to = Recipient::Webhook("soc".into());
    let sent: Vec<Envelope> = HOSTILE
        .iter()
        .flat_map(|words| all(words))
        .map(|notice| Envelope { id: Uuid::new_v4(), to: to.clone(), ..envelope(notice) })
        .collect();
    for envelope in &sent {
        assert_eq!(webhook.send(envelope).await, Ok(()));
    }
    let request = |seen: &Seen| {
        let headers: Value =
            seen.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        json!({"headers": headers, "body": std::str::from_utf8(&seen.body).unwrap()})
    };
    let seen = front.seen();
    let requests: Vec<Value> = seen.iter().map(request).collect();
    verified(&json!({"requests": requests, "secrets": [hmac], "public_keys": public_keys}));
    for (request, sent) in requests.iter().zip(&sent) {
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        let notice = serde_json::to_value(&sent.notice).unwrap();
        let expected = json!({
            "type": notice["type"], "timestamp": "2026-11-23T09:31:01Z", "tenant": "acme", "data": notice["data"],
        });
        assert_eq!(body, expected);
        assert_eq!(request["headers"]["webhook-id"], format!("notice_{}", sent.id.simple()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_can_repair_is_tried_again() {
    let receiver = Receiver::start().await;
    let front = Front::before(&receiver.url()).await;
    let hmac = format!("whsec_{}", BASE64_STANDARD.encode([1; 32]));
    let (webhook, _) = webhook(&front.url(), &[&hmac]);
    let sample = envelope(all("new phone").swap_remove(0));
    for status in [401, 403, 404, 429, 500, 503] {
        front.fail(Some(1), Fault::Answer { status, headers: vec![], body: String::new() });
        assert_eq!(webhook.send(&sample).await, Err(Trouble::Retry { after: None }), "{status}");
    }
    front.fail(Some(1), Fault::Answer { status: 422, headers: vec![], body: String::new() });
    assert!(matches!(webhook.send(&sample).await, Err(Trouble::Refused(reason)) if reason.as_str() == "http_422"));
}
