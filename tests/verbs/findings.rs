//! Findings: raised within seconds, listed with their evidence, and the same as a look into the past gives.

use crate::harness::{Broker, Raw, TENANT, outcomes, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A broker whose rules find things early.
async fn start(findings: &str) -> (Broker, String) {
    let broker = Broker::start_with(|config| format!("{config}\n[findings]\n{findings}\n")).await;
    let vkey = broker.with_tenant().await;
    (broker, vkey)
}

/// A user whose device has backed up a record.
async fn user(broker: &Broker, name: &str) -> Raw {
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": name})).await;
    let device = Raw::enrol(broker, TENANT, name).await;
    device.backup("identity", 1, b"any key").await;
    device
}

async fn restore(device: &Raw) {
    let (opened, _) = device.open("identity").await;
    let released = device.release(&opened).await;
    assert_eq!(released.status, 200, "{released:?}");
    device.acknowledge(&opened).await;
}

/// Everything that was raised, once there is so much of it.
async fn raised(broker: &Broker, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (_, page) = broker.admin(&format!("/{TENANT}/findings"), None).await;
        let items = page["items"].as_array().unwrap().clone();
        if items.len() >= count {
            return items;
        }
        assert!(Instant::now() < deadline, "not {count}: {items:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn dry_run(broker: &Broker, query: &str) -> Value {
    let (status, seen) = broker.admin(&format!("/{TENANT}/findings/dry-run?{query}"), None).await;
    assert_eq!(status, 200, "{seen}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fanout_of_restores_is_raised_at_once_with_its_evidence() {
    let (broker, vkey) = start("thresholds = { user_fanout = 3 }").await;
    let devices = [user(&broker, "bob").await, user(&broker, "carol").await, user(&broker, "dave").await];
    for device in &devices {
        restore(device).await;
    }
    let found = raised(&broker, 1).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["rule"], &found[0]["seen"]["observed"]), (&json!("user_fanout"), &json!(3)));

    let log = broker.verified_log(TENANT, &vkey);
    let evidence = found[0]["seen"]["events"].as_array().unwrap();
    let event = |index: &Value| &log[usize::try_from(index.as_u64().unwrap()).unwrap()];
    assert!(evidence.iter().all(|index| event(index)["evt"] == "restore.released"), "{evidence:?}");
    let users = evidence.iter().map(|index| event(index)["disclosed"]["user"].as_str().unwrap());
    assert_eq!(users.collect::<BTreeSet<_>>(), BTreeSet::from(["bob", "carol", "dave"]));
    let leaf = event(&found[0]["index"]);
    assert_eq!((&leaf["evt"], &leaf["out"]), (&json!("finding.raised"), &json!("user_fanout")));
    assert!(!leaf["disclosed"].to_string().contains("bob"), "{leaf}");
    let metrics = broker.text("/metrics").await;
    assert!(metrics.contains("keyfold_findings_total{rule=\"user_fanout\"} 1\n"), "{metrics}");

    let listed = broker.run_admin(&["findings", TENANT]);
    let words = text(&listed.stdout);
    assert!(listed.status.success() && words.lines().count() == 2 && words.contains("user_fanout"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_looked_at_with_any_threshold_and_judged_by_none_that_came_later() {
    let settings = "off = [\"log_silent\"]\nthresholds = { wrap_rate = 5 }";
    let (mut broker, vkey) = start(settings).await;
    let device = user(&broker, "bob").await;
    for _ in 0..3 {
        restore(&device).await;
    }
    let seen = dry_run(&broker, "rule=restore_rate&threshold=3").await;
    assert_eq!(seen["findings"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!((&seen["complete"], &seen["findings"][0]["index"]), (&json!(true), &Value::Null));
    let trigger = seen["findings"][0]["seen"]["events"][2].as_u64().unwrap();
    let before = dry_run(&broker, &format!("rule=restore_rate&threshold=3&to={trigger}")).await;
    assert_eq!((&before["findings"], &before["next"]), (&json!([]), &json!(trigger)));
    let from = dry_run(&broker, &format!("rule=restore_rate&threshold=3&from={trigger}")).await;
    assert_eq!(from["findings"], seen["findings"], "what came before counts");
    let after = dry_run(&broker, &format!("rule=restore_rate&threshold=3&from={}", trigger + 1)).await;
    assert_eq!(after["findings"], json!([]));
    for query in ["rule=no_such", "threshold=3", "from=x", "rules=restore_rate"] {
        let (status, problem) = broker.admin(&format!("/{TENANT}/findings/dry-run?{query}"), None).await;
        assert_eq!((status, &problem["code"]), (400, &json!("malformed")), "{query}");
    }
    let command = ["findings", TENANT, "--dry-run", "--rule", "restore_rate", "--threshold", "3"];
    let printed = text(&broker.run_admin(&command).stdout);
    assert!(printed.lines().count() == 2 && printed.contains("restore_rate"), "{printed}");

    // What is raised of later events shows that the rules have seen the earlier ones.
    for generation in 2..=5 {
        device.backup("identity", generation, b"any key").await;
    }
    raised(&broker, 1).await;
    broker.stop();
    let config = fs::read_to_string(broker.path("keyfold.toml")).unwrap();
    let stricter = config.replace(settings, "thresholds = { restore_rate = 3, restore_after_enrolment = 60 }");
    fs::write(broker.path("keyfold.toml"), stricter).unwrap();
    broker.run(&[]).await;
    let other = user(&broker, "carol").await;
    for _ in 0..3 {
        restore(&other).await;
    }
    raised(&broker, 3).await;
    let log = broker.verified_log(TENANT, &vkey);
    let expected = ["wrap_rate", "restore_after_enrolment", "restore_rate"];
    assert_eq!(outcomes(&log, "finding.raised"), expected, "what other thresholds let pass is not raised later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_not_known_keeps_the_broker_from_starting() {
    for findings in
        ["off = [\"no_such\"]", "thresholds = { no_such = 1 }", "thresholds = { restore_rate = -1 }", "on = []"]
    {
        let broker = Broker::prepared(|config| format!("{config}\n[findings]\n{findings}\n"));
        let refused = crate::harness::keyfold(&["serve", "--config", broker.path("keyfold.toml").to_str().unwrap()]);
        assert!(!refused.status.success() && text(&refused.stderr).contains("is not a configuration"), "{findings}");
    }
}
