//! Kafka, against tansu and librdkafka's mock cluster, read back by librdkafka: complete, in order, once.

use crate::messages::{events, events_of};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use counterparts::kafka::{Door, Kafka, MockCluster};
use counterparts::tls::Authority;
use keyfold_sinks::kafka::{KafkaSink, Mechanism, Options, Sasl};
use keyfold_sinks::tcp::Security;
use keyfold_sinks::{Delivery, Message, PauseReason, Place, Sink, Trouble};
use secret::Secret;
use serde_json::Value;
use std::collections::BTreeSet;

const TOPIC: &str = "audit";
const RETRY: Trouble = Trouble::Retry { after: None };

fn sink(addresses: &[String], topic: &str, security: Security, sasl: Option<Sasl>) -> KafkaSink {
    let bootstrap_servers = addresses.iter().map(|address| address.parse().unwrap()).collect();
    KafkaSink::new(Options { bootstrap_servers, topic: topic.into(), security, sasl }).unwrap()
}

fn plain(kafka: &Kafka) -> KafkaSink {
    sink(&[kafka.address()], TOPIC, Security::Plaintext, None)
}

/// The ids of what is there, in order.
fn ids(found: &[Value]) -> Vec<&str> {
    found.iter().map(|message| message["headers"]["id"].as_str().unwrap()).collect()
}

fn sent(batch: &[Message]) -> Vec<&str> {
    batch.iter().map(|message| message.id.as_str()).collect()
}

#[tokio::test]
async fn all_of_a_log_lies_in_one_partition_and_says_what_it_is() {
    let mut kafka = Kafka::start(TOPIC, &Door::default());
    let mut sink = plain(&kafka);
    assert_eq!(sink.delivery(), Delivery::Confirmed);
    let mut all = events(0..2_500);
    all[2_499].place = Place::Checkpoint(2_499);
    for batch in all.chunks(1_000) {
        assert_eq!(sink.deliver(batch).await, Ok(Vec::new()));
    }
    let found = kafka.messages(all.len());
    assert_eq!(ids(&found), sent(&all));
    for (offset, (found, message)) in found.iter().zip(&all).enumerate() {
        assert_eq!(found["offset"], offset);
        assert_eq!(found["key"], "acme");
        assert_eq!(BASE64_STANDARD.decode(found["value"].as_str().unwrap()).unwrap(), message.body);
        assert_eq!(found["time"], message.at_ms);
        assert_eq!(found["headers"]["origin"], "broker.example/acme");
    }
    let partitions: BTreeSet<_> = found.iter().map(|message| message["partition"].as_u64()).collect();
    assert_eq!(partitions.len(), 1);
    assert_eq!(found[7]["headers"]["index"], "7");
    assert_eq!(found[2_499]["headers"]["size"], "2499");
}

#[tokio::test]
async fn leaders_of_a_cluster_are_found_and_each_log_keeps_to_its_partition() {
    let mut cluster = MockCluster::start(3, TOPIC);
    let mut sink = sink(&cluster.addresses(), TOPIC, Security::Plaintext, None);
    let tenants = ["acme", "globex", "initech", "umbrella", "hooli", "stark"];
    let logs = tenants.map(|tenant| events_of(&format!("broker.example/{tenant}"), 0..40));
    for part in [0..15, 15..40] {
        let batch: Vec<_> = logs.iter().flat_map(|log| log[part.clone()].to_vec()).collect();
        sink.deliver(&batch).await.unwrap();
    }
    let found = cluster.messages(tenants.len() * 40);
    let mut used = BTreeSet::new();
    for (tenant, log) in tenants.iter().zip(&logs) {
        let found: Vec<_> = found.iter().filter(|message| message["key"] == *tenant).cloned().collect();
        assert_eq!(ids(&found), sent(log));
        let partitions: BTreeSet<_> = found.iter().map(|message| message["partition"].as_u64()).collect();
        assert_eq!(partitions.len(), 1);
        used.extend(partitions);
    }
    assert!(used.len() > 1, "{used:?}");
}

#[tokio::test]
async fn what_was_stored_without_an_answer_is_not_stored_twice() {
    let mut kafka = Kafka::start(TOPIC, &Door::default());
    let mut sink = plain(&kafka);
    sink.deliver(&events(0..10)).await.unwrap();
    kafka.cut_answers(true);
    assert_eq!(sink.deliver(&events(10..20)).await, Err(RETRY));
    assert_eq!(sink.deliver(&events(10..20)).await, Err(RETRY));
    kafka.cut_answers(false);
    // The batch has grown meanwhile.
    sink.deliver(&events(10..30)).await.unwrap();
    sink.deliver(&events(30..31)).await.unwrap();
    assert_eq!(ids(&kafka.messages(31)), sent(&events(0..31)));
}

#[tokio::test]
async fn a_cluster_that_forgot_the_producer_is_asked_for_another_identity() {
    let mut kafka = Kafka::start(TOPIC, &Door::default());
    let mut sink = plain(&kafka);
    sink.deliver(&events(0..10)).await.unwrap();
    kafka.kill();
    assert_eq!(sink.deliver(&events(10..20)).await, Err(RETRY));
    kafka.restart(TOPIC);
    for _ in 0..3 {
        match sink.deliver(&events(10..20)).await {
            Ok(_) => break,
            Err(trouble) => assert_eq!(trouble, RETRY),
        }
    }
    sink.deliver(&events(20..30)).await.unwrap();
    assert_eq!(ids(&kafka.messages(20)), sent(&events(10..30)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_known_is_not_let_in() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let identity = authority.client_pem();
    let tls = |ca: &Authority, identity: Option<&str>| Security::Tls {
        ca_pem: Some(ca.pem().into()),
        identity_pem: identity.map(|pem| Secret::copied_from(pem.as_bytes())),
    };
    let credentials = |mechanism, password: &str| {
        Some(Sasl { mechanism, username: "audit".into(), password: Secret::copied_from(password.as_bytes()) })
    };
    let unauthorized = Err(Trouble::Paused(PauseReason::Unauthorized));
    let distrusted = Err(Trouble::Paused(PauseReason::Tls));
    for (name, mechanism) in [
        ("SCRAM-SHA-512", Mechanism::ScramSha512),
        ("SCRAM-SHA-256", Mechanism::ScramSha256),
        ("PLAIN", Mechanism::Plain),
    ] {
        let door = Door { mutual_tls: Some(&authority), sasl: Some((name, "audit", "pencil")) };
        let mut kafka = Kafka::start(TOPIC, &door);
        let batch = events(0..3);
        let address = [kafka.address()];
        let at = |security, sasl| sink(&address, TOPIC, security, sasl);
        let trusted = || tls(&authority, Some(&identity));
        assert_eq!(at(trusted(), credentials(mechanism, "pencils")).deliver(&batch).await, unauthorized, "{name}");
        assert_eq!(at(tls(&authority, None), credentials(mechanism, "pencil")).deliver(&batch).await, distrusted);
        assert_eq!(
            at(tls(&stranger, Some(&identity)), credentials(mechanism, "pencil")).deliver(&batch).await,
            distrusted
        );
        assert_eq!(at(trusted(), credentials(mechanism, "pencil")).deliver(&batch).await, Ok(Vec::new()), "{name}");
        assert_eq!(ids(&kafka.messages(3)), sent(&batch));
    }
    let door = Door { mutual_tls: None, sasl: Some(("SCRAM-SHA-512", "audit", "pencil")) };
    let kafka = Kafka::start(TOPIC, &door);
    let mut other = sink(&[kafka.address()], TOPIC, Security::Plaintext, credentials(Mechanism::Plain, "pencil"));
    assert_eq!(other.deliver(&events(0..1)).await, unauthorized);
}

#[tokio::test]
async fn without_a_topic_or_tls_there_is_nowhere_to_go() {
    let kafka = Kafka::start(TOPIC, &Door::default());
    let mut lost = sink(&[kafka.address()], "audits", Security::Plaintext, None);
    assert_eq!(lost.deliver(&events(0..1)).await, Err(Trouble::Paused(PauseReason::NotFound)));
    let mut far = sink(&["192.0.2.1:9092".into()], TOPIC, Security::Plaintext, None);
    assert_eq!(far.deliver(&events(0..1)).await, Err(Trouble::Paused(PauseReason::Forbidden)));
}
