//! One event that is refused, credentials that are, a receiver that hangs: each stays what it is.

use super::{all_delivered, broker_and_receiver, events, log_size, sink, until};
use crate::harness::{Broker, TENANT, outcomes};
use counterparts::front::Fault;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use tokio::time::sleep;

async fn dead_letters(broker: &Broker) -> Vec<Value> {
    let (status, page) = broker.admin(&format!("/{TENANT}/sinks/hook/dead-letters"), None).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_refused_batch_exactly_the_poisoned_event_becomes_a_dead_letter() {
    let (broker, receiver) = broker_and_receiver("").await;
    receiver.memory().poisoned.insert(format!("localhost/{TENANT}#33"));
    receiver
        .front()
        .fail(None, Fault::Answer { status: 503, headers: vec![("retry-after", "1")], body: String::new() });
    events(&broker, 60).await;
    receiver.front().heal();
    all_delivered(&broker).await;

    let letters = dead_letters(&broker).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((letters[0]["index"].as_u64(), letters[0]["reason"].as_str()), (Some(33), Some("http_400")));
    until("the dead letter is an event that is delivered", async || {
        receiver.memory().taken.iter().any(|message| message["evt"] == "sink.dead_lettered")
    })
    .await;
    let size = log_size(&broker).await;
    let mut indices = receiver.indices(TENANT);
    indices.dedup();
    assert_eq!(indices, (0..size).filter(|index| *index != 33).collect::<Vec<_>>());
    assert!(receiver.memory().refused < 16, "{} batches were refused", receiver.memory().refused);

    receiver.memory().poisoned.clear();
    broker.admin_ok(&format!("/{TENANT}/sinks/hook/dead-letters/33/redeliver"), json!({})).await;
    until("taken after all", async || dead_letters(&broker).await.is_empty()).await;
    assert_eq!(receiver.indices(TENANT).iter().filter(|index| **index == 33).count(), 1);
    all_delivered(&broker).await;
    let hook = sink(&broker, "hook").await;
    assert_eq!((hook["dead"].as_u64(), hook["given_up"].as_u64()), (Some(0), Some(0)), "{hook}");
    assert_eq!(hook["sent"], hook["size"], "{hook}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_events_about_sinks_do_not_breed() {
    let (broker, receiver) = broker_and_receiver("").await;
    for kind in ["sink.dead_lettered", "sink.paused", "sink.resumed", "enrolment.code_created"] {
        receiver.memory().poisoned.insert(kind.into());
    }
    events(&broker, 3).await;
    all_delivered(&broker).await;
    // Three events, and one more for each.
    until("the events about them are refused too", async || dead_letters(&broker).await.len() == 6).await;
    let size = log_size(&broker).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!((log_size(&broker).await, dead_letters(&broker).await.len()), (size, 6), "the log grows by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_everything_is_paused_and_not_filled_with_dead_letters() {
    let (broker, receiver) = broker_and_receiver("").await;
    all_delivered(&broker).await;
    receiver.front().fail(None, Fault::Answer { status: 400, headers: vec![], body: String::new() });
    events(&broker, 120).await;
    until("it is paused", async || sink(&broker, "hook").await["state"] == "paused").await;
    let hook = sink(&broker, "hook").await;
    assert_eq!(hook["reason"], "refuses_everything", "{hook}");
    assert_eq!(dead_letters(&broker).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_pause_say_so_once_and_go_on_when_mended() {
    let (broker, receiver) = broker_and_receiver("alarm_lag_seconds = 8").await;
    let vkey = broker.admin("", None).await.1["items"][0]["vkey"].as_str().unwrap().to_owned();
    all_delivered(&broker).await;
    receiver.front().fail(None, Fault::Answer { status: 401, headers: vec![], body: String::new() });
    events(&broker, 2).await;
    until("it is paused", async || sink(&broker, "hook").await["reason"] == "unauthorized").await;
    until("it shows", async || broker.text("/metrics").await.contains("keyfold_sink_paused{sink=\"hook\"} 1")).await;
    until("it lags", async || !outcomes(&broker.verified_log(TENANT, &vkey), "sink.lagging").is_empty()).await;
    receiver.front().heal();
    let path = format!("/{TENANT}/sinks/hook/resume");
    broker.admin_ok(&path, json!({"reason": "a new token"})).await;
    all_delivered(&broker).await;
    assert_eq!(broker.admin(&path, Some(json!({"reason": "again"}))).await.0, 409);
    assert!(dead_letters(&broker).await.is_empty(), "nothing is dead-lettered");
    until("it has caught up", async || outcomes(&broker.verified_log(TENANT, &vkey), "sink.caught_up").len() == 1)
        .await;
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "sink.paused"), ["unauthorized"]);
    assert_eq!(outcomes(&log, "sink.lagging"), ["ok"]);
    // The operator's act, and what came of it.
    assert_eq!(outcomes(&log, "sink.resumed"), ["ok", "ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_delays_neither_requests_nor_another_sink() {
    let (broker, receiver) = broker_and_receiver("deadline_seconds = 3").await;
    all_delivered(&broker).await;
    let calm = slowest_of(&broker, 50).await;
    receiver.front().fail(None, Fault::Hang);
    events(&broker, 1).await;
    until("it hangs", async || sink(&broker, "hook").await["reason"] == "deadline_exceeded").await;
    let hanging = slowest_of(&broker, 50).await;
    assert!(hanging < calm * 3 + Duration::from_millis(200), "{calm:?} became {hanging:?}");
    let size = log_size(&broker).await;
    until("the file has all", async || {
        let lines = fs::read_to_string(broker.path("events.ndjson")).unwrap();
        lines.contains(&format!("\"localhost/{TENANT}#{}\"", size - 1))
    })
    .await;
    receiver.front().heal();
    all_delivered(&broker).await;
    assert_eq!(receiver.in_order(TENANT), log_size(&broker).await);
}

async fn slowest_of(broker: &Broker, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let begun = Instant::now();
        broker.code(TENANT, "alice").await;
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}
