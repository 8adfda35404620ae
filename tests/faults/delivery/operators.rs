//! What operators do to a sink, from the command line.

use super::{all_delivered, broker_and_receiver, events, log_size, sink, until};
use crate::harness::{Broker, TENANT, outcomes, text};
use counterparts::front::Fault;
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

/// `keyfold admin sink`, which must succeed.
fn run(broker: &Broker, words: &[&str]) -> String {
    let done = broker.run_admin(&[&["sink"], words].concat());
    assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_is_tested_paused_resumed_and_replayed() {
    let (mut broker, receiver) = broker_and_receiver("").await;
    events(&broker, 10).await;
    all_delivered(&broker).await;
    assert_eq!(run(&broker, &["test", TENANT, "hook"]).trim(), "ok");
    assert!(receiver.memory().taken.iter().any(|message| message["test"] == true));
    receiver.front().fail(1, Fault::Answer { status: 403, headers: vec![], body: String::new() });
    let refused = broker.run_admin(&["sink", "test", TENANT, "hook"]);
    assert!(!refused.status.success() && text(&refused.stdout).contains("unauthorized"));

    run(&broker, &["pause", TENANT, "hook", "--reason", "maintenance"]);
    let before = receiver.indices(TENANT).len();
    events(&broker, 5).await;
    broker.stop();
    broker.run(&[]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(receiver.indices(TENANT).len(), before, "paused, also over a restart");
    let hook = sink(&broker, "hook").await;
    assert_eq!((hook["state"].as_str(), hook["reason"].as_str()), (Some("paused"), Some("operator")), "{hook}");
    run(&broker, &["resume", TENANT, "hook", "--reason", "done"]);
    all_delivered(&broker).await;
    assert_eq!(receiver.in_order(TENANT), log_size(&broker).await);

    receiver.memory().taken.clear();
    run(&broker, &["replay", TENANT, "hook", "--from", "4", "--to", "9"]);
    until("the range has come again", async || {
        receiver.indices(TENANT).iter().filter(|index| (4..9).contains(*index)).count() == 5
    })
    .await;
    run(&broker, &["replay", TENANT, "hook", "--since", "2026-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z"]);
    until("all has come again", async || receiver.indices(TENANT).contains(&0)).await;
    until("the replay is over", async || sink(&broker, "hook").await["replays"] == Value::Array(vec![])).await;
    let hook = sink(&broker, "hook").await;
    assert_eq!((&hook["sent"], hook["given_up"].as_u64()), (&hook["next"], Some(0)), "{hook}");
    let nothing = broker.run_admin(&["sink", "replay", TENANT, "hook", "--since", "2100-01-01T00:00:00Z"]);
    assert!(!nothing.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_given_up_is_counted_told_and_can_be_replayed() {
    let (broker, receiver) = broker_and_receiver("").await;
    let vkey = broker.admin("", None).await.1["items"][0]["vkey"].as_str().unwrap().to_owned();
    all_delivered(&broker).await;
    run(&broker, &["pause", TENANT, "hook", "--reason", "too much"]);
    events(&broker, 10).await;
    let to = log_size(&broker).await - 2;
    run(&broker, &["gap", TENANT, "hook", "--to", &to.to_string(), "--reason", "a flood"]);
    run(&broker, &["resume", TENANT, "hook", "--reason", "after the flood"]);
    all_delivered(&broker).await;
    let hook = sink(&broker, "hook").await;
    let given_up = hook["given_up"].as_u64().unwrap();
    assert!(given_up >= 8, "{hook}");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "sink.gap"), ["ok"]);
    let gap = log.iter().find(|event| event["evt"] == "sink.gap").unwrap();
    let (from, about) = (to - given_up, gap["disclosed"]["record"].as_str().unwrap());
    assert_eq!(about, format!("hook {from}..{to}"));
    assert!(gap["disclosed"]["actor"].is_string() && gap["disclosed"]["reason"] == "a flood", "{gap}");
    assert!(receiver.indices(TENANT).iter().all(|index| !(from..to).contains(index)));
    run(&broker, &["replay", TENANT, "hook", "--from", &from.to_string(), "--to", &to.to_string()]);
    until("it came after all", async || receiver.indices(TENANT).contains(&from)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_sink_gets_its_own_and_is_told_the_count() {
    let fields = "events = [\"enrolment.*\", \"log.*\"]\nfields = [\"user\"]\ntenants = [\"acme\"]\nproof = true";
    let (broker, receiver) = broker_and_receiver(fields).await;
    broker.tenant("beta", "bob").await;
    events(&broker, 20).await;
    all_delivered(&broker).await;
    let told = |message: &&Value| message["id"].as_str().is_some_and(|id| id.starts_with("localhost/acme@"));
    until("the receiver is told how much it must have", async || receiver.memory().taken.iter().any(|m| told(&m)))
        .await;
    let memory = receiver.memory();
    let checkpoint = memory.taken.iter().find(told).unwrap();
    let count = |member: &str| checkpoint[member].as_u64().unwrap();
    assert_eq!(count("sent") + count("filtered") + count("dead"), count("size"), "{checkpoint}");
    let events: Vec<_> = memory.taken.iter().filter(|message| message["evt"].is_string()).collect();
    assert!(
        events.len() > 20 && events.iter().all(|event| event["id"].as_str().unwrap().starts_with("localhost/acme#"))
    );
    for event in events {
        assert!(["enrolment.code_created", "log.opened"].contains(&event["evt"].as_str().unwrap()), "{event}");
        assert!(event["disclosed"].as_object().unwrap().keys().all(|field| field == "user"), "{event}");
        assert!(event["proof"].as_str().unwrap().starts_with("c2sp.org/tlog-proof@v1\n"), "{event}");
    }
}
