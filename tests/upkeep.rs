//! What goes on without a request: delivery to sinks, and one broker for one database.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[expect(unused_imports, reason = "these stories need no device of their own")]
mod harness;

use harness::{Broker, KEYFOLD, TENANT, keyfold, outcomes, text};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The events of a tenant that the sink `events` has.
fn delivered(broker: &Broker, tenant: &str) -> usize {
    let lines = fs::read_to_string(broker.path("events.ndjson")).unwrap();
    let id = format!("localhost/{tenant}#");
    let of_tenant = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().starts_with(&id);
    lines.lines().filter(of_tenant).count()
}

async fn lag(broker: &Broker) -> u32 {
    let metrics = broker.text("/metrics").await;
    let lag = metrics.lines().find_map(|line| line.strip_prefix("keyfold_sink_lag_events{sink=\"events\"} "));
    lag.map_or(0, |lag| lag.parse().unwrap())
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_keeps_back_no_other_and_shows_as_lag() {
    let mut broker = Broker::start().await;
    broker.tenant("acme", "alice").await;
    broker.tenant("beta", "bob").await;
    until("everything is delivered", async || delivered(&broker, "acme") + delivered(&broker, "beta") == 6).await;
    broker.stop();

    broker.sql("UPDATE leaves SET disclosures = x'00' WHERE tenant = 'acme' AND leaf_index = 2").await;
    broker.sql("UPDATE cursors SET next_index = 2 WHERE tenant = 'acme'").await;
    broker.run(&[]).await;
    broker.code("beta", "bob").await;
    until("the other log is delivered", async || delivered(&broker, "beta") == 4).await;
    // The unreadable event. Whether the one that says so gets into the log depends on who finds the alteration first: once the
    // log is doubted, it takes none.
    until("the lag shows", async || lag(&broker).await >= 1).await;
    until("the log is doubted", async || broker.log().contains("the log was altered")).await;
    assert!(broker.log().contains("events_unreadable"), "{}", broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_broker_on_the_same_database_does_not_start() {
    let mut broker = Broker::start().await;
    let config = fs::read_to_string(broker.path("keyfold.toml")).unwrap();
    let second = broker.path("second.toml");
    fs::write(&second, config.replace(&format!("127.0.0.1:{}", broker.port), "127.0.0.1:0")).unwrap();
    let refused = keyfold(&["serve", "--config", second.to_str().unwrap()]);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("another broker has this database open"), "{}", text(&refused.stderr));

    broker.kill();
    let mut third = Command::new(KEYFOLD).args(["serve", "--config", second.to_str().unwrap()]).spawn().unwrap();
    sleep(Duration::from_secs(1)).await;
    let runs = third.try_wait().unwrap().is_none();
    third.kill().unwrap();
    third.wait().unwrap();
    assert!(runs, "a killed broker leaves no lock behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_was_erased_can_still_be_revoked_and_the_log_verifies() {
    let mut broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = broker.enrol(TENANT, "alice").await;
    broker.stop();
    broker.sql("DELETE FROM subjects WHERE tenant = 'acme' AND id = 'alice'").await;
    broker.run(&[]).await;
    broker.revoke(TENANT, "device", Some(&device.id().to_string())).await;
    broker.revoke(TENANT, "user", Some("alice")).await;
    let log = broker.verified_log(TENANT, &vkey);
    let disclosed = |event: &Value| event["disclosed"].to_string();
    assert_eq!(outcomes(&log, "user.revoked"), ["ok"]);
    assert!(log.iter().all(|event| !disclosed(event).contains("alice")), "{log:?}");
    assert!(log.iter().any(|event| disclosed(event).contains("token:operator")), "the tenant's own stays readable");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_keep_the_name_they_were_begun_with() {
    let mut broker = Broker::start().await;
    broker.with_tenant().await;
    broker.stop();
    let config = fs::read_to_string(broker.path("keyfold.toml")).unwrap();
    fs::write(broker.path("keyfold.toml"), config.replace("log_host = \"localhost\"", "log_host = \"other\"")).unwrap();
    let refused = keyfold(&["serve", "--config", broker.path("keyfold.toml").to_str().unwrap()]);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("`log_host` is not the one"), "{}", text(&refused.stderr));
}
