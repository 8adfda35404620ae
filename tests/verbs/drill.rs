//! Drills, and the test of every KEK in use: whether records still open, without releasing any.

use crate::harness::{Broker, Raw, TENANT, keyfold, outcomes, text};
use crate::keks::{further_kek, kek, step, told};
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A tenant whose records are each under a KEK and its standby.
async fn start(edit: impl FnOnce(String) -> String) -> (Broker, String, Raw, [String; 2]) {
    let broker = Broker::start_with(edit).await;
    let vkey = broker.with_tenant().await;
    let keks = [kek(&broker, TENANT).await, further_kek(&broker, "standby").await];
    broker.admin_ok(&format!("/{TENANT}/protection"), json!({"kek": keks[0], "standby_kek": keks[1]})).await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    for generation in 1..=6 {
        device.backup("identity", generation, b"any key").await;
    }
    (broker, vkey, device, keks)
}

async fn drill(broker: &Broker, sample: u16) -> Value {
    broker.admin_ok(&format!("/{TENANT}/drills"), json!({"sample": sample})).await
}

fn command(broker: &Broker) -> Output {
    let (ca, token, url) = (broker.path("ca.pem"), broker.path("admin-token"), broker.url(""));
    let options = ["admin", "--url", &url, "--ca", ca.to_str().unwrap(), "--token-file", token.to_str().unwrap()];
    keyfold(&[&options[..], &["drill", TENANT, "--sample", "10"]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_opens_every_wrap_and_releases_nothing() {
    let (broker, vkey, device, [first, standby]) = start(|config| config).await;
    let unwraps = broker.unwraps().await;
    let report = drill(&broker, 4).await;
    assert_eq!((&report["sampled"], &report["opened"], &report["untried"]), (&json!(4), &json!(4), &json!(0)));
    assert_eq!(report["failed"], json!([]));
    assert_eq!(broker.unwraps().await, unwraps + 8, "standbys too");
    let done = command(&broker);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).starts_with("6 sampled, 6 opened, 0 not tried\n"), "{}", text(&done.stdout));

    // One standby wrap is another record's: only a drill that opens standbys can see it.
    broker
        .sql(
            "UPDATE wraps SET wrapped = (SELECT wrapped FROM wraps WHERE slot = 'standby' ORDER BY record LIMIT 1)
             WHERE slot = 'standby' AND record = (SELECT record FROM wraps ORDER BY record DESC LIMIT 1)",
        )
        .await;
    let altered = broker.sql("SELECT record FROM wraps ORDER BY record DESC LIMIT 1").await.unwrap();
    let report = drill(&broker, 1_000).await;
    assert_eq!((&report["sampled"], &report["opened"]), (&json!(6), &json!(5)));
    assert_eq!(report["failed"], json!([{"record": altered, "kek": standby, "code": "kek_mismatch"}]));
    let (opened, failed) = (report["keks"][0].clone(), report["keks"][1].clone());
    assert_eq!((&opened["kek"], &opened["opened"], &opened["failed"]), (&json!(first), &json!(6), &json!(0)));
    assert_eq!((&failed["opened"], &failed["failed"]), (&json!(5), &json!(1)));
    assert_eq!(command(&broker).status.code(), Some(1));

    // An order holds for a drill too.
    step(&broker, &first, "disable").await;
    let unwraps = broker.unwraps().await;
    assert_eq!(drill(&broker, 2).await["failed"][0]["code"], "kek_inactive");
    assert!(broker.unwraps().await <= unwraps + 2, "only the standby was asked");
    for sample in [0, 1_001] {
        let refused = told(&broker, &format!("/{TENANT}/drills"), json!({"sample": sample})).await;
        assert_eq!(refused, (400, "malformed".into()));
    }
    drop(device);
    let log = broker.verified_log(TENANT, &vkey);
    let failed = "drill_failed";
    assert_eq!(outcomes(&log, "drill.completed"), ["ok", "ok", failed, failed, failed]);
    assert_eq!(outcomes(&log, "finding.raised"), [failed; 3]);
    let drilled = log.iter().find(|event| event["evt"] == "drill.completed").unwrap();
    assert_eq!(drilled["exposure"], "plaintext_in_broker");
    let finding = log.iter().find(|event| event["evt"] == "finding.raised").unwrap();
    assert_eq!(finding["disclosed"]["record"], altered);
    let counts = log.iter().find(|event| event["evt"] == "drill.completed").unwrap()["disclosed"]["record"].clone();
    assert_eq!(counts, "4 sampled, 4 opened, 0 failed, 0 not tried");
    assert_eq!(outcomes(&log, "restore.released"), [""; 0]);
}

/// The KEK of this id, once its health is as wanted.
async fn when(broker: &Broker, kek: &str, state: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (_, shown) = broker.admin(&format!("/{TENANT}/keks/{kek}"), None).await;
        if shown["kek"]["health"]["state"] == state {
            return shown;
        }
        assert!(Instant::now() < deadline, "not {state}: {shown}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kek_in_use_is_tested_and_told_when_it_fails_and_recovers() {
    let quick = |config: String| config.replace("kek_test_seconds = 3600", "kek_test_seconds = 1");
    let (broker, vkey, _, [first, standby]) = start(quick).await;
    let idle = further_kek(&broker, "idle").await;
    when(&broker, &standby, "usable").await;
    broker.keystore(&["disable", TENANT]);
    let failing = when(&broker, &first, "failing").await;
    assert_eq!(failing["kek"]["health"]["reason"], "kek_disabled");
    assert_eq!(failing["holdings"], json!([{"slot": "whole", "version": 1, "records": 6}]));
    let metrics = broker.text("/metrics").await;
    assert!(metrics.contains(&format!("keyfold_kek_usable{{kek=\"{first}\"}} 0\n")), "{metrics}");
    assert!(metrics.contains(&format!("keyfold_kek_usable{{kek=\"{standby}\"}} 1\n")), "{metrics}");
    assert_eq!(broker.text("/readyz").await, "ready\n", "readiness is about the broker");
    broker.keystore(&["enable", TENANT]);
    when(&broker, &first, "usable").await;
    let (_, shown) = broker.admin(&format!("/{TENANT}/keks/{idle}"), None).await;
    assert_eq!(shown["kek"]["health"], Value::Null, "what is not in use is not tested");

    broker.admin_ok(&format!("/{TENANT}/keks/{standby}/rotate"), json!({"force": true})).await;
    let (_, shown) = broker.admin(&format!("/{TENANT}/keks/{standby}"), None).await;
    assert_eq!(shown["stale"], 6, "{shown}");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "kek.failing"), ["kek_disabled"]);
    assert_eq!(outcomes(&log, "kek.recovered"), ["ok"]);
}
