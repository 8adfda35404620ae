//! Delivery to receivers that are in every trouble, and with the broker killed meanwhile.

mod crash;
mod operators;
mod receiver;
mod trouble;

use crate::harness::{Broker, TENANT};
use receiver::Receiver;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A broker with the tenant `acme`, whose log goes to a receiver and to a file.
async fn broker_and_receiver(fields: &str) -> (Broker, Receiver) {
    let receiver = Receiver::start().await;
    let mut broker = Broker::prepared(|config| config);
    receiver.configure(&broker, fields);
    broker.run(&[]).await;
    broker.with_tenant().await;
    (broker, receiver)
}

/// Makes so many events.
async fn events(broker: &Broker, count: usize) {
    for _ in 0..count {
        broker.code(TENANT, "alice").await;
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The sink as operators see it.
async fn sink(broker: &Broker, name: &str) -> Value {
    let (status, page) = broker.admin(&format!("/{TENANT}/sinks"), None).await;
    assert_eq!(status, 200, "{page}");
    let sinks = page["items"].as_array().unwrap();
    sinks.iter().find(|sink| sink["name"] == name).unwrap().clone()
}

/// The receiver has all that there is.
async fn all_delivered(broker: &Broker) {
    until("everything is delivered", async || {
        let (size, hook) = (log_size(broker).await, sink(broker, "hook").await);
        hook["next"].as_u64() >= Some(size) && hook["state"] == "running"
    })
    .await;
}

/// The number of events in the log.
async fn log_size(broker: &Broker) -> u64 {
    let url = broker.url(&format!("/v1/tenants/{TENANT}/log/checkpoint"));
    let answer = broker.http().get(url).bearer_auth(broker.token()).send().await.unwrap();
    answer.text().await.unwrap().lines().nth(1).unwrap().parse().unwrap()
}
