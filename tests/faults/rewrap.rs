//! All records of a tenant move from an HSM to OpenBao while the broker is killed again and again and devices restore.

use crate::harness::bao::{BAO_TOKEN, Bao};
use crate::harness::{Broker, outcomes};
use device::{Device, RestoreRequest, Selection};
use protocol::names::Kind;
use reqwest::Method;
use secret::Secret;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const TENANT: &str = "moving";
const DEVICES: usize = 8;
const KILLS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn records_move_from_an_hsm_to_openbao_through_crashes_while_devices_restore() {
    let records: usize = env::var("KEYFOLD_REWRAP_RECORDS").map_or(400, |text| text.parse().unwrap());
    let mut scene = Scene::start().await;
    let vkey = scene.tenant().await;
    let kinds = scene.back_up(records).await;
    let begun = Instant::now();
    let devices = scene.restoring(&kinds).await;
    scene.move_to_openbao(records).await;
    let took = begun.elapsed();
    let restored = devices.stop().await;
    eprintln!("{records} records in {} s through {KILLS} crashes, {restored} restores meanwhile", took.as_secs());
    assert!(restored > 0, "devices restored while records moved");

    let sql = "SELECT COUNT(*) || ' ' || COUNT(DISTINCT record) || ' ' || COUNT(DISTINCT kek) FROM wraps";
    assert_eq!(scene.broker.sql(sql).await.unwrap(), format!("{records} {records} 1"));
    let log = scene.broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "rewrap.completed"), ["ok"]);
    let mut rewrapped = HashMap::<&str, usize>::new();
    for event in log.iter().filter(|event| event["evt"] == "record.rewrapped") {
        *rewrapped.entry(event["cor"].as_str().unwrap()).or_default() += 1;
    }
    assert!(rewrapped.len() == records && rewrapped.values().all(|times| *times == 1), "each record moved once");
    scene.restores_without_the_hsm(&kinds).await;
}

struct Scene {
    broker: Broker,
    bao: Bao,
    settings: PathBuf,
}

/// Devices that restore one record after the other.
struct Restoring {
    stop: Arc<AtomicBool>,
    restored: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Scene {
    async fn start() -> Self {
        let bao = Bao::start().await;
        bao.call(Method::POST, "transit/keys/moving", json!({})).await.unwrap();
        let broker = Broker::prepared(|config| {
            let hsm =
                format!("type = \"pkcs11\"\nmodule = \"{MODULE}\"\ntoken = \"keyfold\"\npin = {{ env = \"PIN\" }}\n");
            config + "\n[providers.hsm]\n" + &hsm + &Bao::provider(bao.port)
        });
        let (settings, tokens) = (broker.path("softhsm2.conf"), broker.path("tokens"));
        fs::create_dir(&tokens).unwrap();
        fs::write(&settings, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let mut scene = Self { broker, bao, settings };
        scene.tool(
            "softhsm2-util",
            &["--init-token", "--free", "--label", "keyfold", "--so-pin", "12345678", "--pin", "1234"],
        );
        let login = ["--module", MODULE, "--token-label", "keyfold", "--login", "--pin", "1234"];
        let keygen = ["--keygen", "--key-type", "AES:32", "--label", TENANT, "--usage-wrap", "--sensitive"];
        scene.tool("pkcs11-tool", &[&login[..], &keygen].concat());
        scene.run().await;
        scene
    }

    fn tool(&self, program: &str, words: &[&str]) {
        let output = Command::new(program).args(words).env("SOFTHSM2_CONF", &self.settings).output().unwrap();
        assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    async fn run(&mut self) {
        let settings = format!("SOFTHSM2_CONF={}", self.settings.display());
        let token = format!("BAO={BAO_TOKEN}");
        self.broker.run(&["env", &settings, "PIN=1234", &token]).await;
    }

    async fn tenant(&self) -> String {
        let made = self.broker.admin_ok("", json!({"id": TENANT, "name": TENANT, "unattested_days": 30})).await;
        self.broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "alice"})).await;
        self.broker.admin_ok(&format!("/{TENANT}/keks"), json!({"provider": "hsm", "key": TENANT})).await;
        made["vkey"].as_str().unwrap().into()
    }

    /// So many records, of so many kinds; each holds the name of its kind.
    async fn back_up(&self, records: usize) -> Vec<Kind> {
        let kinds: Vec<Kind> = (0..records).map(|at| format!("k{at}").parse().unwrap()).collect();
        let mut tasks = Vec::new();
        for own in kinds.chunks(records.div_ceil(4 * DEVICES)) {
            let (mut device, own) = (self.broker.enrol(TENANT, "alice").await, own.to_vec());
            tasks.push(tokio::spawn(async move {
                for kind in own {
                    let material = Secret::copied_from(kind.as_str().as_bytes());
                    device.backup(&kind, &material, None).await.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        kinds
    }

    async fn restoring(&self, kinds: &[Kind]) -> Restoring {
        let (stop, restored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for number in 0..2 {
            let mut device = self.broker.enrol(TENANT, "alice").await;
            let (stop, restored, kinds) = (stop.clone(), restored.clone(), kinds.to_vec());
            tasks.push(tokio::spawn(async move {
                for kind in kinds.iter().skip(number).step_by(7).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    match restore(&mut device, kind).await {
                        Ok(()) => _ = restored.fetch_add(1, Ordering::Relaxed),
                        // The broker is being started again.
                        Err(_) => sleep(Duration::from_millis(50)).await,
                    }
                }
            }));
        }
        Restoring { stop, restored, tasks }
    }

    /// Starts the rewrap, kills the broker at each sixth of the way, and waits until it is complete.
    async fn move_to_openbao(&mut self, records: usize) {
        let kek = self.broker.admin_ok(&format!("/{TENANT}/keks"), json!({"provider": "bao", "key": TENANT})).await;
        self.broker.admin_ok(&format!("/{TENANT}/protection"), json!({"kek": kek["id"]})).await;
        // Slow enough that there is a way to be killed on.
        let per_second = (records < 10_000).then_some(100);
        let begun = self.broker.admin_ok(&format!("/{TENANT}/rewraps"), json!({"per_second": per_second})).await;
        assert_eq!(begun["total"], json!(records));
        let path = format!("/{TENANT}/rewraps/{}", begun["id"].as_str().unwrap());
        let part = records as u64 / (u64::from(KILLS) + 1);
        for kill in 1..=u64::from(KILLS) {
            let at =
                self.until(&path, |rewrap| rewrap["remaining"].as_u64().unwrap() <= records as u64 - kill * part).await;
            assert_eq!(at["state"], "running", "killed on the way: {at}");
            self.broker.kill();
            self.run().await;
        }
        let ended = self.until(&path, |rewrap| rewrap["state"] != "running").await;
        assert_eq!((&ended["state"], &ended["remaining"]), (&json!("completed"), &json!(0)), "{ended}");
    }

    async fn until(&self, path: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let mut known = (u64::MAX, Instant::now());
        loop {
            let rewrap = self.broker.admin(path, None).await.1;
            if reached(&rewrap) {
                return rewrap;
            }
            let remaining = rewrap["remaining"].as_u64().unwrap();
            if remaining != known.0 {
                known = (remaining, Instant::now());
            }
            assert!(known.1.elapsed() < Duration::from_secs(300), "it stands still: {rewrap}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What was moved needs the HSM no more.
    async fn restores_without_the_hsm(&mut self, kinds: &[Kind]) {
        let login = ["--module", MODULE, "--token-label", "keyfold", "--login", "--pin", "1234"];
        self.tool("pkcs11-tool", &[&login[..], &["--delete-object", "--type", "secrkey", "--label", TENANT]].concat());
        let mut device = self.broker.enrol(TENANT, "alice").await;
        for kind in kinds.iter().step_by(kinds.len().div_ceil(100)) {
            restore(&mut device, kind).await.unwrap();
        }
        let _lives = &self.bao;
    }
}

impl Restoring {
    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.restored.load(Ordering::Relaxed)
    }
}

/// Restores one key. Panics when it is not the right one.
async fn restore(device: &mut Device, kind: &Kind) -> Result<(), device::Error> {
    let selection = Selection::Kinds(vec![kind.clone()]);
    let pending = device.restore(RestoreRequest { selection, reason: "test".parse().unwrap() }).await?;
    let keys = pending.release(None).await?;
    assert!(keys.len() == 1 && keys[0].material.matches(kind.as_str().as_bytes()), "{kind:?}");
    pending.acknowledge().await
}
