//! `kill -9` while findings are raised: each is in the log once, and they are those that the rules find in it.

use crate::harness::{Broker, Raw, TENANT};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CRASHES: u64 = 8;
/// Everything is found soon.
const SETTINGS: &str = "thresholds = { restore_rate = 2, wrap_rate = 3, record_fanout = 3, user_fanout = 2, \
                        restore_after_enrolment = 60, frequent_restarts = 2 }";

/// A new user whose device gives four rules something to find.
async fn story(broker: &Broker, user: &str) {
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": user})).await;
    let device = Raw::enrol(broker, TENANT, user).await;
    for kind in ["one", "two", "three"] {
        device.backup(kind, 1, b"any key").await;
        let (opened, _) = device.open(kind).await;
        assert_eq!(device.release(&opened).await.status, 200);
    }
}

async fn items(broker: &Broker, path: &str, list: &str) -> Vec<(Value, Value)> {
    let (status, page) = broker.admin(&format!("/{TENANT}/findings{path}"), None).await;
    assert_eq!(status, 200, "{page}");
    assert_eq!(page["next"].is_number(), path.contains("dry-run"), "one page has all: {page}");
    let findings = page[list].as_array().unwrap();
    findings.iter().map(|finding| (finding["rule"].clone(), finding["seen"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_raises_findings_it_raises_each_of_them_once() {
    let mut broker = Broker::start_with(|config| format!("{config}\n[findings]\n{SETTINGS}\n")).await;
    let vkey = broker.with_tenant().await;
    let mut early = 0;
    for crash in 0..CRASHES {
        for user in ["a", "b", "c"] {
            story(&broker, &format!("{user}-{crash}")).await;
        }
        let mut byte = [0];
        aws_lc_rs::rand::fill(&mut byte).unwrap();
        sleep(Duration::from_millis(u64::from(byte[0]) * 3)).await;
        early += items(&broker, "?limit=1000", "items").await.len();
        broker.kill();
        broker.run(&[]).await;
    }

    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (mut raised, due) =
            (items(&broker, "?limit=1000", "items").await, items(&broker, "/dry-run", "findings").await);
        if raised.len() >= due.len() {
            assert!(due.len() >= 4 * 3 * usize::try_from(CRASHES).unwrap(), "{due:?}");
            // Raised again after a crash, they may come in another order.
            raised.sort_by_key(|finding| due.iter().position(|other| other == finding));
            assert_eq!(raised, due);
            break;
        }
        assert!(Instant::now() < deadline, "{} of {} findings: {raised:?}", raised.len(), due.len());
        sleep(Duration::from_millis(100)).await;
    }
    eprintln!("{early} findings were seen before a crash");
    let metrics = broker.text("/metrics").await;
    assert!(metrics.contains("keyfold_findings_lag_events 0\n"), "{metrics}");
    broker.verified_log(TENANT, &vkey);
}
