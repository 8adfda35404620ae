//! Google SecOps: raw logs with their labels, by a service account.

use crate::https::{Trial, clear};
use crate::messages::{checkpoint, events};
use audit::event::Outcome;
use counterparts::google::SecOps;
use keyfold_sinks::https::Connection;
use keyfold_sinks::secops::{Access, OpenError, Options, SecopsSink};
use keyfold_sinks::{Delivery, PauseReason, Sink, Trouble};
use secret::Secret;

/// None of the batch was taken.
const BAD_REQUEST: Trouble = Trouble::Refused(Outcome::from_static("http_400"));
const PERMISSION: &str = "chronicle.logs.import";

async fn instance() -> SecOps {
    SecOps::start("projects/p/locations/eu/instances/7d1c", "KEYFOLD_CUSTOM").await
}

fn options(endpoint: &str, file: &str, connection: Connection) -> Options {
    Options {
        project: "p".into(),
        location: "eu".into(),
        instance: "7d1c".into(),
        log_type: "KEYFOLD_CUSTOM".into(),
        forwarder: Some("f0".into()),
        endpoint: Some(endpoint.to_owned()),
        access: Access::File(Secret::copied_from(file.as_bytes())),
        connection,
    }
}

fn sink(instance: &SecOps, permissions: &[&str]) -> SecopsSink {
    let file = instance.service_account(permissions);
    SecopsSink::open(options(&instance.url(), &file, clear())).unwrap()
}

#[tokio::test]
async fn every_message_is_a_raw_log() {
    let instance = instance().await;
    let mut sink = sink(&instance, &[PERMISSION]);
    assert_eq!(sink.delivery(), Delivery::Transmitted);
    let mut messages = events(0..3);
    messages.push(checkpoint(3));
    assert_eq!(sink.deliver(&messages).await, Ok(Vec::new()));
    let logs = instance.logs();
    assert_eq!(
        logs.iter().map(|log| &log.data).collect::<Vec<_>>(),
        messages.iter().map(|m| &m.body).collect::<Vec<_>>()
    );
    let label = |at: usize, name: &str| logs[at].labels.get(name).map(String::as_str);
    assert_eq!([label(2, "event_id"), label(2, "index")], [Some("broker.example/acme#2"), Some("2")]);
    assert_eq!([label(2, "event_name"), label(2, "tenant")], [Some("record.wrapped"), Some("acme")]);
    assert_eq!([label(3, "event_name"), label(3, "index")], [Some("log.checkpoint"), None]);
}

#[tokio::test]
async fn who_may_not_import_pauses_and_what_cannot_log_in_is_no_sink() {
    let instance = instance().await;
    assert_eq!(sink(&instance, &[]).deliver(&events(0..1)).await, Err(Trouble::Paused(PauseReason::Unauthorized)));
    for file in ["{}", "no JSON", r#"{"type": "authorized_user"}"#] {
        let made = SecopsSink::open(options(&instance.url(), file, clear()));
        assert!(matches!(made, Err(OpenError::File)), "{file}");
    }
}

#[tokio::test]
async fn a_poisoned_event_is_refused_and_a_wrong_forwarder_blames_no_event() {
    let instance = instance().await;
    instance.poison(Some("acme#1"));
    assert_eq!(sink(&instance, &[PERMISSION]).deliver(&events(0..3)).await, Err(BAD_REQUEST));
    assert_eq!(instance.logs(), Vec::new());
    let file = instance.service_account(&[PERMISSION]);
    let there = options(&instance.url(), &file, clear());
    let mut elsewhere = SecopsSink::open(Options { forwarder: Some("f0/x".into()), ..there }).unwrap();
    assert_eq!(elsewhere.deliver(&events(0..1)).await, Err(Trouble::Paused(PauseReason::Misconfigured)));
}

#[tokio::test]
async fn a_full_batch_fits_into_one_call() {
    let instance = instance().await;
    let mut sink = sink(&instance, &[PERMISSION]);
    let limits = sink.limits();
    let mut messages = events(0..limits.messages as u64);
    let body = vec![b'x'; limits.bytes / limits.messages];
    messages.iter_mut().for_each(|message| message.body = body.clone());
    assert_eq!(sink.deliver(&messages).await, Ok(Vec::new()));
    assert_eq!(instance.logs().len(), limits.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_has_its_outcome() {
    let instance = instance().await;
    let file = instance.service_account(&[PERMISSION]);
    let trial = Trial {
        upstream: instance.url(),
        open: &|url, connection| Box::new(SecopsSink::open(options(url, &file, connection)).unwrap()),
        ids: &|| instance.logs().into_iter().map(|log| log.labels["event_id"].clone()).collect(),
        garbage: [Err(Trouble::Retry { after: None }), Err(BAD_REQUEST)],
        own: &[],
    };
    trial.run().await;
}
