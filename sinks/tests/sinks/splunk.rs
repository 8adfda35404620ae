//! Splunk's collector: what only it does.

use crate::https::{Trial, connection};
use crate::messages::events;
use audit::event::Outcome;
use counterparts::front::{Fault, Front};
use counterparts::splunk::{Acks, Splunk, TOKEN};
use keyfold_sinks::https::Connection;
use keyfold_sinks::splunk::{Options, SplunkSink};
use keyfold_sinks::{Delivery, PauseReason, Refused, Sink, Trouble};
use secret::Secret;
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Trouble = Trouble::Retry { after: None };

fn options(url: &str, connection: Connection) -> Options {
    Options {
        url: url.into(),
        token: Secret::copied_from(TOKEN.as_bytes()),
        index: None,
        sourcetype: "keyfold".into(),
        acknowledgement: Some(PATIENCE),
        connection,
    }
}

fn open(url: &str) -> SplunkSink {
    SplunkSink::open(options(url, Connection { ca_pem: None, ..connection("") })).unwrap()
}

fn ids(splunk: &Splunk) -> Vec<String> {
    splunk.indexed().iter().map(|envelope| envelope["event"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_has_its_outcome() {
    let splunk = Splunk::start(Acks::After(0)).await;
    let trial = Trial {
        upstream: splunk.url(),
        open: &|url, connection| Box::new(SplunkSink::open(options(url, connection)).unwrap()),
        ids: &|| ids(&splunk),
        garbage: [Err(RETRY), Err(Trouble::Paused(PauseReason::Misconfigured))],
        own: &[],
    };
    trial.run().await;
}

#[tokio::test]
async fn only_what_is_acknowledged_counts() {
    let splunk = Splunk::start(Acks::Lost).await;
    let mut sink = open(&splunk.url());
    assert_eq!(sink.delivery(), Delivery::Confirmed);
    let batch = events(0..5);
    assert_eq!(sink.deliver(&batch).await, Err(RETRY));
    splunk.set_acks(Acks::OfOthers);
    assert_eq!(sink.deliver(&batch).await, Err(RETRY));
    assert!(splunk.indexed().is_empty());
    // A later poll is early enough.
    splunk.set_acks(Acks::After(1));
    assert_eq!(sink.deliver(&batch).await, Ok(vec![]));
    assert_eq!(ids(&splunk), batch.iter().map(|message| message.id.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_collector_that_forgot_is_not_believed() {
    let splunk = Splunk::start(Acks::After(0)).await;
    let mut sink = open(&splunk.url());
    assert_eq!(sink.deliver(&events(0..2)).await, Ok(vec![]));
    // Numbers begin again: what a number stands for is not known any more.
    splunk.restart();
    assert_eq!(sink.deliver(&events(2..4)).await, Err(RETRY));
    assert_eq!(sink.deliver(&events(2..4)).await, Ok(vec![]));
    assert_eq!(ids(&splunk).len(), 4);
}

#[tokio::test]
async fn polls_are_asked_again_and_events_are_not_sent_again() {
    let splunk = Splunk::start(Acks::After(0)).await;
    let front = Front::before(&splunk.url()).await;
    let (mut sink, batch) = (open(&front.url()), events(0..3));
    let spoil = async {
        while front.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        front.fail(1, Fault::Answer { status: 503, headers: vec![], body: String::new() });
    };
    let (delivered, ()) = tokio::join!(sink.deliver(&batch), spoil);
    assert_eq!(delivered, Ok(vec![]));
    let paths: Vec<_> = front.seen().into_iter().map(|seen| seen.path).collect();
    let (events, acks) = ("/services/collector/event", "/services/collector/ack");
    assert_eq!(paths, [events, acks, acks]);
}

#[tokio::test]
async fn a_poisoned_event_is_named_and_the_rest_is_taken() {
    let splunk = Splunk::start(Acks::After(0)).await;
    let mut sink = open(&splunk.url());
    let batch = events(0..10);
    splunk.poison(&batch[3].id);
    splunk.poison(&batch[7].id);
    let reason = Outcome::from_static("invalid_data_format");
    let named = [3, 7].map(|position| Refused { position, reason: reason.clone() });
    assert_eq!(sink.deliver(&batch).await, Ok(named.to_vec()));
    let mut taken = ids(&splunk);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 8);
    // With too many of them the batch is to be halved.
    let batch = events(10..30);
    batch.iter().for_each(|message| splunk.poison(&message.id));
    assert_eq!(sink.deliver(&batch).await, Err(Trouble::Refused(reason.clone())));
    assert_eq!(sink.deliver(&batch[..1]).await, Ok(vec![Refused { position: 0, reason }]));
}

#[tokio::test]
async fn a_large_batch_takes_several_requests_and_one_wait() {
    let splunk = Splunk::start(Acks::After(1)).await;
    let front = Front::before(&splunk.url()).await;
    let mut sink = open(&front.url());
    let mut batch = events(0..300);
    for message in &mut batch {
        message.body = json!({"id": message.id, "filler": "x".repeat(5_000)}).to_string().into_bytes();
    }
    splunk.poison(&batch[299].id);
    let refused = sink.deliver(&batch).await.unwrap();
    assert_eq!(refused.iter().map(|refused| refused.position).collect::<Vec<_>>(), [299]);
    let seen = front.seen();
    let posts: Vec<_> = seen.iter().filter(|seen| seen.path.ends_with("/event")).collect();
    assert!(posts.len() >= 4 && posts.iter().all(|seen| seen.body.len() < 1_000_000), "{}", posts.len());
    assert_eq!(seen.len() - posts.len(), 2);
    assert!(ids(&splunk).len() >= 299);
}

#[tokio::test]
async fn what_an_administrator_of_splunk_must_set_right_pauses() {
    let paused = Err(Trouble::Paused(PauseReason::Misconfigured));
    let splunk = Splunk::start(Acks::Disabled).await;
    let batch = events(0..2);
    // Acknowledgement on one side only, either way.
    assert_eq!(open(&splunk.url()).deliver(&batch).await, paused);
    let plain = |index: Option<&str>| {
        let connection = Connection { ca_pem: None, ..connection("") };
        let options = options(&splunk.url(), connection);
        SplunkSink::open(Options { acknowledgement: None, index: index.map(str::to_owned), ..options }).unwrap()
    };
    splunk.set_acks(Acks::After(0));
    assert_eq!(plain(None).deliver(&batch).await, paused);
    splunk.set_acks(Acks::Disabled);
    assert_eq!(plain(Some("nowhere")).deliver(&batch).await, paused);
    // Without acknowledgement nothing is promised, and what arrives is whole.
    let mut sink = plain(Some("main"));
    assert_eq!(sink.delivery(), Delivery::Transmitted);
    let before = splunk.indexed().len();
    assert_eq!(sink.deliver(&batch).await, Ok(vec![]));
    let envelope = json!({
        "time": 1_800_000_001.0,
        "host": "broker.example",
        "source": "broker.example/acme",
        "sourcetype": "keyfold",
        "index": "main",
        "event": {"id": "broker.example/acme#1", "index": 1},
    });
    assert_eq!(splunk.indexed()[before + 1], envelope);
}
