//! Webhooks, verified by other implementations of Standard Webhooks.

use crate::https::{Trial, clear};
use crate::messages::events;
use crate::oracle;
use audit::event::Outcome;
use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::front::{Front, Seen};
use counterparts::webhook::Webhook;
use keyfold_sinks::https::{AddressError, ConnectError, Connection};
use keyfold_sinks::webhook::{OpenError, Options, WebhookSink};
use keyfold_sinks::{Sink, Trouble};
use secret::Secret;
use serde_json::{Value, json};

fn whsec(byte: u8, len: usize) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(vec![byte; len]))
}

fn whsk(byte: u8) -> String {
    format!("whsk_{}", BASE64_STANDARD.encode([byte; 32]))
}

fn open(url: &str, keys: &[String], connection: Connection) -> Result<WebhookSink, OpenError> {
    let keys = keys.iter().map(|key| Secret::copied_from(key.as_bytes())).collect();
    WebhookSink::open(&Options { url: url.into(), keys, max_messages: 100, connection })
}

/// Trusts no authority, for tests in clear on loopback.
fn ids(receiver: &Webhook) -> Vec<String> {
    receiver.taken().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_has_its_outcome() {
    let receiver = Webhook::start().await;
    let trial = Trial {
        upstream: receiver.url(),
        open: &|url, connection| Box::new(open(&format!("{url}/hook"), &[whsec(1, 24)], connection).unwrap()),
        ids: &|| ids(&receiver),
        // For a webhook the status is all there is.
        garbage: [Ok(vec![]), Err(Trouble::Refused(Outcome::from_static("http_400")))],
        own: &[],
    };
    trial.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_implementations_verify_every_signature() {
    let receiver = Webhook::start().await;
    let front = Front::before(&receiver.url()).await;
    let keys = [whsec(1, 24), whsk(2), whsec(3, 64), whsk(4)];
    let mut sink = open(&format!("{}/hook?from=keyfold", front.url()), &keys, clear()).unwrap();
    let mut batches = [events(0..3), events(3..4), events(0..3)];
    // Text is a string in the document, whatever it holds.
    batches[1][0].body = "CEF:0|Keyfold|a\\|b|\"1\"|ü|x".into();
    for batch in &batches {
        assert_eq!(sink.deliver(batch).await, Ok(vec![]));
    }
    let seen = front.seen();
    let request = |seen: &Seen| {
        let headers: Value =
            seen.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        json!({"headers": headers, "body": std::str::from_utf8(&seen.body).unwrap()})
    };
    let requests: Vec<_> = seen.iter().map(request).collect();
    let secrets = [&keys[0], &keys[2]];
    let answer = oracle::ask(
        "webhook.py",
        &json!({"requests": requests, "secrets": secrets, "public_keys": sink.public_keys()}),
    );
    let sent = batches.iter().flatten().map(|message| {
        serde_json::from_slice(&message.body)
            .unwrap_or_else(|_| String::from_utf8(message.body.clone()).unwrap().into())
    });
    assert_eq!(answer["events"], Value::Array(sent.collect()));
    assert_eq!(seen[0].path, "/hook?from=keyfold");
    // The same batch has the same id when it is sent again, and no other has it.
    let id = |at: usize| seen[at].headers["webhook-id"].clone();
    assert_eq!(id(0), id(2));
    assert_ne!(id(0), id(1));
}

#[tokio::test]
async fn a_batch_with_a_poisoned_event_is_refused_and_none_of_it_taken() {
    let receiver = Webhook::start().await;
    let mut sink = open(&receiver.url(), &[whsec(1, 32)], clear()).unwrap();
    let batch = events(0..4);
    receiver.poison(&batch[2].id);
    assert_eq!(sink.deliver(&batch).await, Err(Trouble::Refused(Outcome::from_static("http_422"))));
    assert_eq!(sink.deliver(&batch[..2]).await, Ok(vec![]));
    assert_eq!(ids(&receiver).len(), 2);
}

#[test]
fn only_keys_and_addresses_that_protect_are_taken() {
    let url = "https://siem.example/hook";
    let long = format!("whsk_{}", BASE64_STANDARD.encode([7; 64]));
    for key in [whsec(1, 23), whsec(1, 65), long, whsk(1)[..20].to_owned(), "secret".into(), "whsec_*".into()] {
        assert!(matches!(open(url, std::slice::from_ref(&key), clear()), Err(OpenError::Key)), "{key}");
    }
    assert!(matches!(open(url, &[], clear()), Err(OpenError::NoKey)));
    let refused = open("http://siem.example/hook", &[whsk(1)], clear());
    assert!(matches!(refused, Err(OpenError::Connect(ConnectError::Address(AddressError::Insecure)))));
    let shown = format!("{:?}", open(url, &[whsec(1, 24), whsk(1)], clear()).unwrap());
    assert!(!shown.contains("AQEB"), "{shown}");
}
