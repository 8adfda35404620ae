//! Microsoft Sentinel: rows in a table, and tokens that are asked for when they are needed.

use crate::https::{Trial, clear};
use crate::messages::{checkpoint, events};
use audit::event::Outcome;
use counterparts::azure::LogsIngestion;
use keyfold_sinks::https::Connection;
use keyfold_sinks::sentinel::{Application, Options, Proof, SentinelSink};
use keyfold_sinks::{Delivery, PauseReason, Sink, Trouble};
use secret::Secret;
use serde_json::{Value, json};

const RULE: &str = "dcr-00000000000000000000000000000000";
/// None of the batch was taken, and nothing says which row it is.
const BAD_REQUEST: Trouble = Trouble::Refused(Outcome::from_static("http_400"));
const STREAM: &str = "Custom-Keyfold";

/// As docs/SINKS.md declares them.
const COLUMNS: [(&str, &str); 8] = [
    ("TimeGenerated", "datetime"),
    ("EventId", "string"),
    ("Origin", "string"),
    ("Tenant", "string"),
    ("EventIndex", "long"),
    ("EventName", "string"),
    ("EventSeverity", "string"),
    ("Body", "string"),
];

async fn ingestion() -> LogsIngestion {
    let ingestion = LogsIngestion::start(RULE, STREAM, &COLUMNS).await;
    ingestion.add_secret("app", "the secret");
    ingestion
}

fn secret(text: &str) -> Proof {
    Proof::Secret(Secret::copied_from(text.as_bytes()))
}

/// Of an application that proves itself by `proof` to the Entra ID of `ingestion`.
fn options(ingestion: &LogsIngestion, endpoint: &str, proof: Proof, connection: Connection) -> Options {
    // Where nothing is allowed, Entra ID in clear on loopback is no address either.
    let guarded = connection.allow_networks.is_empty();
    let authority_host = Some(if guarded { endpoint.to_owned() } else { ingestion.url() });
    let application = Application { tenant_id: "dir".into(), client_id: "app".into(), authority_host, proof };
    let (endpoint, rule, stream) = (endpoint.to_owned(), RULE.to_owned(), STREAM.to_owned());
    Options { endpoint, rule, stream, audience: None, application, connection }
}

fn sink(ingestion: &LogsIngestion, proof: Proof) -> SentinelSink {
    SentinelSink::open(options(ingestion, &ingestion.url(), proof, clear())).unwrap()
}

#[tokio::test]
async fn every_message_is_a_row_whatever_proves_the_application() {
    let ingestion = ingestion().await;
    let registration = ingestion.register("app");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "federated\n").unwrap();
    ingestion.federate("app", "federated");
    let certificate = registration.certificate_pem.into_bytes();
    let key = Secret::copied_from(registration.key_pem.as_bytes());
    let proofs =
        [secret("the secret"), Proof::Certificate { certificate, key }, Proof::TokenFile(file.path().to_owned())];
    for (proof, index) in proofs.into_iter().zip(0..) {
        let mut sink = sink(&ingestion, proof);
        assert_eq!(sink.delivery(), Delivery::Transmitted);
        assert_eq!(sink.deliver(&events(index..index + 1)).await, Ok(Vec::new()));
    }
    let mut sink = sink(&ingestion, secret("the secret"));
    sink.deliver(&[checkpoint(3)]).await.unwrap();
    let rows = ingestion.rows();
    let ids: Vec<_> = rows.iter().map(|row| row["EventId"].as_str().unwrap()).collect();
    assert_eq!(ids[..3], ["broker.example/acme#0", "broker.example/acme#1", "broker.example/acme#2"]);
    let expected = json!({
        "TimeGenerated": "2027-01-15T08:00:01Z", "EventId": "broker.example/acme#1", "Origin": "broker.example/acme",
        "Tenant": "acme", "EventIndex": 1, "EventName": "record.wrapped", "EventSeverity": "Informational",
        "Body": String::from_utf8(events(1..2).remove(0).body).unwrap(),
    });
    assert_eq!(rows[1], expected);
    assert_eq!([&rows[3]["EventIndex"], &rows[3]["EventName"]], [&Value::Null, &json!("log.checkpoint")]);
}

#[tokio::test]
async fn a_wrong_proof_pauses_and_a_revoked_token_is_replaced() {
    let ingestion = ingestion().await;
    let unauthorized = Err(Trouble::Paused(PauseReason::Unauthorized));
    let gone = Proof::TokenFile("/nonexistent/token".into());
    for wrong in [secret("another"), gone] {
        assert_eq!(sink(&ingestion, wrong).deliver(&events(0..1)).await, unauthorized);
    }
    let mut sink = sink(&ingestion, secret("the secret"));
    sink.deliver(&events(0..1)).await.unwrap();
    sink.deliver(&events(1..2)).await.unwrap();
    ingestion.revoke_tokens();
    assert_eq!(sink.deliver(&events(2..3)).await, Err(Trouble::Retry { after: None }));
    sink.deliver(&events(2..3)).await.unwrap();
    assert_eq!(ingestion.rows().len(), 3);
}

#[tokio::test]
async fn a_poisoned_event_is_refused_and_a_wrong_stream_blames_no_event() {
    let ingestion = ingestion().await;
    let mut sink = sink(&ingestion, secret("the secret"));
    ingestion.poison(Some("acme#1"));
    assert_eq!(sink.deliver(&events(0..3)).await, Err(BAD_REQUEST));
    assert_eq!(ingestion.rows(), Vec::<Value>::new());
    sink.deliver(&events(2..3)).await.unwrap();
    let there = options(&ingestion, &ingestion.url(), secret("the secret"), clear());
    let mut elsewhere = SentinelSink::open(Options { stream: "Custom-Other".into(), ..there }).unwrap();
    assert_eq!(elsewhere.deliver(&events(0..1)).await, Err(Trouble::Paused(PauseReason::NotFound)));
}

#[tokio::test]
async fn a_full_batch_fits_into_one_call() {
    let ingestion = ingestion().await;
    let mut sink = sink(&ingestion, secret("the secret"));
    let limits = sink.limits();
    let mut messages = events(0..limits.messages as u64);
    // As many quotes as the lines of real events have, and more.
    let body = r#"{"a":"bcdefghij"},"#.repeat(limits.bytes / limits.messages / 18);
    messages.iter_mut().for_each(|message| message.body = body.clone().into_bytes());
    assert_eq!(sink.deliver(&messages).await, Ok(Vec::new()));
    assert_eq!(ingestion.rows().len(), limits.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_has_its_outcome() {
    let ingestion = ingestion().await;
    let trial = Trial {
        upstream: ingestion.url(),
        open: &|url, connection| {
            let options = options(&ingestion, url, secret("the secret"), connection);
            Box::new(SentinelSink::open(options).unwrap())
        },
        ids: &|| ingestion.rows().iter().map(|row| row["EventId"].as_str().unwrap().to_owned()).collect(),
        garbage: [Err(Trouble::Retry { after: None }), Err(BAD_REQUEST)],
        // A token that was good may have been revoked.
        own: &[(401, Trouble::Retry { after: None })],
    };
    trial.run().await;
}
