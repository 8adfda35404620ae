//! The log reaches every kind of receiver, whatever fails.

mod crash;
mod held;
mod hour;
mod receivers;
mod trouble;

use crate::harness::Broker;
use serde_json::Value;

/// The sink as operators see it.
async fn shown(broker: &Broker, sink: &str, tenant: &str) -> Value {
    let (status, sinks) = broker.admin(&format!("/{tenant}/sinks"), None).await;
    assert_eq!(status, 200, "{sinks}");
    let items = sinks["items"].as_array().unwrap();
    items.iter().find(|shown| shown["name"] == sink).unwrap().clone()
}

async fn dead_letters(broker: &Broker, sink: &str, tenant: &str) -> Vec<u64> {
    let (status, dead) = broker.admin(&format!("/{tenant}/sinks/{sink}/dead-letters"), None).await;
    assert_eq!(status, 200, "{dead}");
    dead["items"].as_array().unwrap().iter().map(|letter| letter["index"].as_u64().unwrap()).collect()
}
