//! `kill -9` at random while the receiver is in trouble: everything arrives, in order, and the cursor never led.

use super::receiver::Receiver;
use super::{all_delivered, broker_and_receiver, log_size};
use crate::harness::{Broker, TENANT};
use counterparts::front::Fault;
use serde_json::json;
use std::time::Duration;
use std::{env, fs};
use tokio::time::{Instant, sleep};

/// What the receiver does in turn, for a few requests each.
fn troubles() -> [Fault; 6] {
    let answer = |status, headers| Fault::Answer { status, headers, body: String::new() };
    [
        answer(429, vec![("retry-after", "0")]),
        answer(500, vec![]),
        Fault::Hang,
        Fault::CutMidAnswer,
        Fault::Reset,
        Fault::Slow(Duration::from_millis(300)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_before_a_troubled_receiver_every_event_arrives_in_order() {
    let crashes: u32 = env::var("KEYFOLD_CRASHES").map_or(12, |text| text.parse().unwrap());
    let (mut broker, receiver) = broker_and_receiver("disclose = true\ndeadline_seconds = 1").await;
    broker.tenant("beta", "bob").await;
    for (crash, fault) in (0..crashes).zip(troubles().into_iter().cycle()) {
        receiver.front().heal();
        work(&broker, random(1_000)).await;
        receiver.front().fail(None, fault);
        work(&broker, random(2_500)).await;
        broker.kill();
        check_cursors(&broker, &receiver).await;
        broker.run(&[]).await;
        eprintln!("crash {crash}: {} and {} events", receiver.in_order(TENANT), receiver.in_order("beta"));
    }
    receiver.front().heal();
    all_delivered(&broker).await;
    let size = log_size(&broker).await;
    assert_eq!(receiver.in_order(TENANT), size);
    let lines = fs::read_to_string(broker.path("events.ndjson")).unwrap();
    let in_file = lines.lines().filter(|line| line.starts_with("{\"id\":\"localhost/acme#")).count();
    assert!(u64::try_from(in_file).unwrap() >= size, "the file has {in_file} of {size}");
    broker.stop();
    let saved = sql(&broker, "SELECT CAST(SUM(next_index) AS TEXT) FROM cursors WHERE sink = 'hook'").await;
    assert_eq!(saved, Some(size + receiver.in_order("beta")), "a stop saves all");
}

/// Anything up to so many milliseconds.
fn random(most: u64) -> Duration {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    Duration::from_millis(u64::from_le_bytes(bytes) % most)
}

/// Both tenants have events for so long.
async fn work(broker: &Broker, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        for (tenant, user) in [(TENANT, "alice"), ("beta", "bob")] {
            broker.admin_ok(&format!("/{tenant}/enrolment-codes"), json!({"user": user})).await;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// What is saved as confirmed is there.
async fn check_cursors(broker: &Broker, receiver: &Receiver) {
    for (tenant, statement) in [
        (TENANT, "SELECT CAST(next_index AS TEXT) FROM cursors WHERE sink = 'hook' AND tenant = 'acme'"),
        ("beta", "SELECT CAST(next_index AS TEXT) FROM cursors WHERE sink = 'hook' AND tenant = 'beta'"),
    ] {
        let (saved, there) = (sql(broker, statement).await.unwrap_or(0), receiver.in_order(tenant));
        assert!(saved <= there, "the cursor of {tenant} says {saved}, the receiver has {there}");
    }
}

async fn sql(broker: &Broker, statement: &'static str) -> Option<u64> {
    broker.sql(statement).await.map(|number| number.parse().unwrap())
}
