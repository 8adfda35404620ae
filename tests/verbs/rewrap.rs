//! Records move to the KEKs that their tenant wants, while devices go on restoring.

use crate::harness::{Broker, TENANT, keyfold, outcomes, text};
use device::Device;
use secret::Secret;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A tenant with these further KEKs, and a device with three records.
struct Scene {
    broker: Broker,
    vkey: String,
    device: Device,
    keks: Vec<String>,
}

impl Scene {
    async fn start(further: &[&str]) -> Self {
        Self::start_with(further, |config| config).await
    }

    async fn start_with(further: &[&str], edit: impl FnOnce(String) -> String) -> Self {
        let broker = Broker::start_with(edit).await;
        let vkey = broker.with_tenant().await;
        let first = broker.admin(&format!("/{TENANT}/keks"), None).await.1["items"][0]["id"].clone();
        let mut keks = vec![first.as_str().unwrap().to_owned()];
        for name in further {
            broker.keystore(&["add", name]);
            let ask = json!({"provider": "software", "key": name});
            let made = broker.admin_ok(&format!("/{TENANT}/keks"), ask).await;
            keks.push(made["id"].as_str().unwrap().to_owned());
        }
        let mut device = broker.enrol(TENANT, "alice").await;
        for kind in ["archive", "backup", "identity"] {
            back_up(&mut device, kind).await;
        }
        Self { broker, vkey, device, keks }
    }

    async fn protect(&self, protection: Value) {
        self.broker.admin_ok(&format!("/{TENANT}/protection"), protection).await;
    }

    async fn start_rewrap(&self) -> Value {
        self.broker.admin_ok(&format!("/{TENANT}/rewraps"), json!({})).await
    }

    /// The rewrap when it no longer runs.
    async fn ended(&self, rewrap: &Value) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let path = format!("/{TENANT}/rewraps/{}", rewrap["id"].as_str().unwrap());
            let shown = self.broker.admin(&path, None).await.1;
            if shown["state"] != "running" {
                return shown;
            }
            assert!(Instant::now() < deadline, "{shown}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Moves all records, and checks that the rewrap says that it has.
    async fn rewrap(&self) {
        let ended = self.ended(&self.start_rewrap().await).await;
        assert_eq!((&ended["state"], &ended["remaining"]), (&json!("completed"), &json!(0)), "{ended}");
    }

    /// The KEKs that the records are under, as the broker lists them.
    async fn held(&self) -> BTreeSet<Vec<String>> {
        let listed = self.broker.admin(&format!("/{TENANT}/records"), None).await.1;
        let keks = |record: &Value| {
            let mut keks: Vec<_> =
                record["keks"].as_array().unwrap().iter().map(|kek| kek.as_str().unwrap().into()).collect();
            keks.sort();
            keks
        };
        listed["items"].as_array().unwrap().iter().map(keks).collect()
    }

    /// What an auditor does with an export; what `keyfold verify` says where it fails.
    fn verify_no_record_under(&self, kek: &str) -> Result<(), String> {
        let out = tempfile::TempDir::new().unwrap();
        let dir = out.path().join("export");
        self.broker.export(TENANT, &self.vkey, &dir);
        let verified = keyfold(&["verify", dir.to_str().unwrap(), "--no-record-under", kek]);
        if verified.status.success() { Ok(()) } else { Err(text(&verified.stderr)) }
    }

    async fn restores_everything(&mut self) {
        let keys = self.device.restore_all("test".parse().unwrap(), None, Duration::from_millis(10)).await.unwrap();
        assert_eq!(keys.len(), 3);
        assert!(keys.iter().all(|key| key.material.matches(key.kind.as_str().as_bytes())));
    }

    fn sorted(&self, of: &[usize]) -> BTreeSet<Vec<String>> {
        let mut keks: Vec<_> = of.iter().map(|at| self.keks[*at].clone()).collect();
        keks.sort();
        BTreeSet::from([keks])
    }
}

async fn back_up(device: &mut Device, kind: &str) {
    device.backup(&kind.parse().unwrap(), &Secret::copied_from(kind.as_bytes()), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_move_from_one_kek_to_another_to_two_and_to_one_with_a_standby() {
    let mut scene = Scene::start(&["second", "third"]).await;
    let [a, b, c] = [0, 1, 2].map(|at| scene.keks[at].clone());
    for (protection, held) in [
        (json!({"kek": b}), vec![1]),
        (json!({"kek": b, "second_kek": c}), vec![1, 2]),
        (json!({"kek": c, "standby_kek": a}), vec![2, 0]),
        (json!({"kek": a}), vec![0]),
    ] {
        scene.protect(protection).await;
        scene.restores_everything().await;
        scene.rewrap().await;
        assert_eq!(scene.held().await, scene.sorted(&held));
        scene.restores_everything().await;
    }
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "record.rewrapped"), vec!["ok"; 12]);
    assert_eq!(outcomes(&log, "rewrap.completed"), vec!["ok"; 4]);
    let last = log.iter().rev().find(|event| event["evt"] == "record.rewrapped").unwrap();
    assert_eq!(last["kek"]["id"], json!(a));
    let verify = |kek: &str| scene.verify_no_record_under(kek);
    assert!(verify(&b).is_ok() && verify(&c).is_ok());
    assert!(verify(&a).unwrap_err().contains("3 records are still under KEK"));
    assert!(verify("unknown").unwrap_err().contains("no record was ever under KEK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrap_with_nothing_to_do_is_complete_at_once_and_two_do_not_run_together() {
    let scene = Scene::start(&["second"]).await;
    scene.rewrap().await;
    scene.protect(json!({"kek": scene.keks[1]})).await;
    let slow = scene.broker.admin_ok(&format!("/{TENANT}/rewraps"), json!({"per_second": 1})).await;
    let (status, refused) = scene.broker.admin(&format!("/{TENANT}/rewraps"), Some(json!({}))).await;
    assert_eq!((status, &refused["code"]), (409, &json!("rewrap_open")));
    let path = format!("/{TENANT}/rewraps/{}", slow["id"].as_str().unwrap());
    for (step, state) in [("pause", "paused"), ("resume", "running"), ("stop", "stopped")] {
        assert_eq!(scene.broker.admin_ok(&path, json!({"step": step})).await["state"], state);
    }
    let (status, refused) = scene.broker.admin(&path, Some(json!({"step": "resume"}))).await;
    assert_eq!((status, &refused["code"]), (409, &json!("rewrap_over")));
    scene.rewrap().await;
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    for (kind, outcome) in [
        ("rewrap.started", 3),
        ("rewrap.paused", 1),
        ("rewrap.resumed", 1),
        ("rewrap.stopped", 1),
        ("rewrap.completed", 2),
    ] {
        assert_eq!(outcomes(&log, kind), vec!["ok"; outcome], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_altered_stays_where_it_is_and_the_rewrap_says_so() {
    let scene = Scene::start(&["second"]).await;
    let altered = "UPDATE wraps SET wrapped = (SELECT wrapped FROM wraps ORDER BY record LIMIT 1)
                   WHERE record = (SELECT MAX(record) FROM wraps)";
    scene.broker.sql(altered).await;
    scene.protect(json!({"kek": scene.keks[1]})).await;
    let ended = scene.ended(&scene.start_rewrap().await).await;
    let told = (&ended["state"], &ended["reason"], &ended["remaining"]);
    assert_eq!(told, (&json!("paused"), &json!("records_failed"), &json!(1)), "{ended}");
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "record.rewrapped"), ["ok"; 2]);
    assert_eq!(outcomes(&log, "finding.raised"), ["wrapped_mismatch"]);
    assert_eq!(outcomes(&log, "rewrap.paused"), ["records_failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_off_a_kek_that_was_taken_away() {
    let scene = Scene::start(&["second"]).await;
    scene.broker.revoke(TENANT, "kek", Some(&scene.keks[0])).await;
    scene.protect(json!({"kek": scene.keks[1]})).await;
    let ended = scene.ended(&scene.start_rewrap().await).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("paused"), &json!("kek_inactive")), "{ended}");
    assert_eq!(scene.held().await, scene.sorted(&[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kek_that_was_taken_away_is_asked_for_nothing_and_holds_up_no_other_record() {
    let mut scene = Scene::start(&["second", "third"]).await;
    scene.protect(json!({"kek": scene.keks[1]})).await;
    for kind in ["later", "latest"] {
        back_up(&mut scene.device, kind).await;
    }
    scene.broker.revoke(TENANT, "kek", Some(&scene.keks[0])).await;
    scene.protect(json!({"kek": scene.keks[2]})).await;
    let unwraps = scene.broker.unwraps().await;
    let ended = scene.ended(&scene.start_rewrap().await).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("paused"), &json!("kek_inactive")), "{ended}");
    assert_eq!(ended["remaining"], 3, "{ended}");
    assert_eq!(scene.held().await, BTreeSet::from([vec![scene.keks[0].clone()], vec![scene.keks[2].clone()]]));
    assert_eq!(scene.broker.unwraps().await, unwraps + 2, "only what may be moved was opened");
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "rewrap.denied"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_gone_at_its_vendor_holds_up_no_other_record() {
    let mut scene = Scene::start(&["second", "third"]).await;
    scene.protect(json!({"kek": scene.keks[1]})).await;
    for kind in ["later", "latest"] {
        back_up(&mut scene.device, kind).await;
    }
    scene.broker.sql("UPDATE keks SET key_name = 'gone' WHERE id = (SELECT MIN(id) FROM keks)").await;
    scene.protect(json!({"kek": scene.keks[2]})).await;
    let ended = scene.ended(&scene.start_rewrap().await).await;
    let told = (&ended["state"], &ended["reason"], &ended["remaining"]);
    assert_eq!(told, (&json!("paused"), &json!("kek_not_found"), &json!(3)), "{ended}");
    assert_eq!(scene.held().await, BTreeSet::from([vec![scene.keks[0].clone()], vec![scene.keks[2].clone()]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrap_to_a_kek_that_was_disabled_meanwhile_is_shown_and_stopped() {
    let scene = Scene::start(&["second"]).await;
    scene.protect(json!({"kek": scene.keks[1]})).await;
    let slow = scene.broker.admin_ok(&format!("/{TENANT}/rewraps"), json!({"per_second": 1})).await;
    let order = json!({"reason": "test"});
    scene.broker.admin_ok(&format!("/{TENANT}/keks/{}/disable", scene.keks[1]), order).await;
    let ended = scene.ended(&slow).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("paused"), &json!("kek_inactive")), "{ended}");
    assert!(ended["remaining"].as_u64().is_some_and(|left| left >= 1), "{ended}");
    let path = format!("/{TENANT}/rewraps/{}", slow["id"].as_str().unwrap());
    assert_eq!(scene.broker.admin_ok(&path, json!({"step": "stop"})).await["state"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrap_is_over_when_its_tenant_is_revoked() {
    let scene = Scene::start(&["second"]).await;
    scene.protect(json!({"kek": scene.keks[1]})).await;
    let slow = scene.broker.admin_ok(&format!("/{TENANT}/rewraps"), json!({"per_second": 1})).await;
    scene.broker.revoke(TENANT, "tenant", None).await;
    sleep(Duration::from_secs(5)).await;
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert!(outcomes(&log, "rewrap.denied").len() <= 1, "but for the record that was under way");
    assert_eq!(outcomes(&log, "admin.denied"), [""; 0]);
    let ended = scene.ended(&slow).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("stopped"), &json!("tenant_inactive")), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrap_gets_through_a_quota_that_is_too_small_for_its_pace() {
    let quota = "[providers.software]\ncalls = { per_second = 20, deadline_ms = 1000 }\n";
    let mut scene = Scene::start_with(&[], |config| config.replace("[providers.software]\n", quota)).await;
    for number in 0..30 {
        back_up(&mut scene.device, &format!("k{number}")).await;
    }
    scene.rewrap().await;
}
