//! A broker with receivers over HTTPS: each has every event, in order, though the broker is killed in the middle, one
//! receiver loses what it took, and another refuses one event for good.

use crate::harness::{Broker, TENANT, text};
use counterparts::elasticsearch::{DATA_STREAM, Elasticsearch};
use counterparts::splunk::{Acks, Splunk, TOKEN};
use counterparts::webhook::Webhook;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The event that Elasticsearch never takes.
const POISONED: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_receiver_has_every_event_after_kills() {
    let (webhook, splunk) = (Webhook::start().await, Splunk::start(Acks::Lost).await);
    let elasticsearch = Elasticsearch::start().await;
    let mut broker = Broker::prepared(|config| config + &sinks(&webhook, &splunk, &elasticsearch));
    for (file, secret) in [("hook.key", "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"), ("hec.token", TOKEN)] {
        fs::write(broker.path(file), secret).unwrap();
    }
    fs::write(broker.path("elastic.key"), "aWQ6YXBpLWtleQ==\n").unwrap();
    broker.run(&[]).await;
    let vkey = broker.with_tenant().await;
    let origin = vkey.split('+').next().unwrap().to_owned();
    elasticsearch.plan(&format!("{origin}#{POISONED}"), 400, "mapper_parsing_exception", usize::MAX);
    for kill in 0..3 {
        for user in 0..10 {
            broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": format!("user-{kill}-{user}")})).await;
        }
        sleep(Duration::from_millis(300)).await;
        broker.kill();
        broker.run(&[]).await;
    }
    assert!(splunk.indexed().is_empty());
    splunk.set_acks(Acks::After(1));

    let due = broker.verified_log(TENANT, &vkey).len() as u64;
    assert!(due > 30);
    let all: Vec<u64> = (0..due).collect();
    let but_one: Vec<u64> = (0..due).filter(|index| *index != POISONED).collect();
    arrived(&broker, &origin, &all, || webhook.taken()).await;
    arrived(&broker, &origin, &all, || splunk.indexed().iter().map(|event| event["event"].clone()).collect()).await;
    arrived(&broker, &origin, &but_one, || elasticsearch.documents().into_iter().map(|(_, event)| event).collect())
        .await;
    let listed = broker.run_admin(&["sink", "dead-letters", TENANT, "elastic"]);
    let listed = text(&listed.stdout);
    assert!(listed.lines().count() == 2 && listed.contains(&POISONED.to_string()), "{listed}");
    assert!(listed.contains("mapper_parsing_exception"), "{listed}");
}

fn sinks(webhook: &Webhook, splunk: &Splunk, elasticsearch: &Elasticsearch) -> String {
    let connection = "connection = { allow_networks = [\"127.0.0.1/32\"] }";
    format!(
        "\n[[sinks]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}/hook\"\nkeys = [{{ file = \"hook.key\" }}]\n{connection}\n\
         [[sinks]]\nname = \"splunk\"\ntype = \"splunk\"\nurl = \"{}\"\ntoken = {{ file = \"hec.token\" }}\n\
         deadline_seconds = 2\n{connection}\n\
         [[sinks]]\nname = \"elastic\"\ntype = \"elasticsearch\"\nurl = \"{}\"\ntarget = \"{DATA_STREAM}\"\n\
         login = {{ method = \"api_key\", key = {{ file = \"elastic.key\" }} }}\n{connection}\n",
        webhook.url(),
        splunk.url(),
        elasticsearch.url(),
    )
}

/// Waits until a receiver has these events of the log; their first arrivals must be in order.
async fn arrived(broker: &Broker, origin: &str, due: &[u64], events: impl Fn() -> Vec<Value>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut seen = HashSet::new();
        let mut indices: Vec<_> = events().iter().filter_map(|event| index(origin, event)).collect();
        indices.retain(|index| seen.insert(*index));
        // What the deliveries themselves put into the log comes after it.
        if indices.len() >= due.len() && indices[..due.len()] == *due {
            return;
        }
        assert!(Instant::now() < deadline, "{indices:?} of {due:?}: {}", broker.log());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Checkpoints have none.
fn index(origin: &str, event: &Value) -> Option<u64> {
    event["id"].as_str()?.strip_prefix(origin)?.strip_prefix('#')?.parse().ok()
}
