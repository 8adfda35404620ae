//! One customer's HSM module hangs, crashes, leaks and lies: another customer's restores go on, and the module is back.

use crate::harness::{Answer, Broker, Raw, outcomes};
use keyfold_bad_pkcs11::Fault;
use serde_json::json;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// Whose module is sound, and whose is not. Each has a token of its own and a KEK of the same name.
const LUCKY: &str = "lucky";
const UNLUCKY: &str = "unlucky";

/// Two tenants with an HSM each, and a device with a record for either.
struct Scene {
    broker: Broker,
    control: PathBuf,
    vkey: String,
    lucky: Raw,
    unlucky: Raw,
    _folder: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (settings, tokens, control) =
            (folder.path().join("softhsm2.conf"), folder.path().join("tokens"), folder.path().join("control"));
        fs::create_dir(&tokens).unwrap();
        fs::write(&settings, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        for name in [LUCKY, UNLUCKY] {
            let init = ["--init-token", "--free", "--label", name, "--so-pin", "12345678", "--pin", "1234"];
            tool(&settings, "softhsm2-util", &init);
            let login = ["--module", MODULE, "--token-label", name, "--login", "--pin", "1234", "--keygen"];
            let key = ["--key-type", "AES:32", "--label", name, "--usage-wrap", "--sensitive"];
            tool(&settings, "pkcs11-tool", &[&login[..], &key].concat());
        }
        let bad = env::current_exe().unwrap().with_file_name("libkeyfold_bad_pkcs11.so");
        let sound = provider(LUCKY, Path::new(MODULE), &settings);
        let unsound = provider(UNLUCKY, &bad, &settings)
            + &format!("BAD_PKCS11_MODULE = \"{MODULE}\"\nBAD_PKCS11_CONTROL = \"{}\"\n", control.display());
        let mut broker = Broker::prepared(|config| config + &sound + &unsound);
        broker.run(&["env", "PIN=1234"]).await;
        let (_, lucky) = tenant(&broker, LUCKY).await;
        let (vkey, unlucky) = tenant(&broker, UNLUCKY).await;
        Self { broker, control, vkey, lucky, unlucky, _folder: folder }
    }

    fn fault(&self, fault: Fault) {
        fs::write(&self.control, fault.name()).unwrap();
    }

    /// The first answer of the unlucky tenant's release while the fault lasts, and its restore.
    async fn release_under(&self, fault: Fault) -> Answer {
        let (opened, _) = self.unlucky.open("identity").await;
        self.fault(fault);
        let answer = self.unlucky.release(&opened).await;
        self.fault(Fault::None);
        answer
    }

    /// The unlucky tenant's HSM is back within a moment.
    async fn recovers(&self, fault: Fault) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let (opened, _) = self.unlucky.open("identity").await;
            if self.unlucky.release(&opened).await.status == 200 {
                assert_eq!(self.unlucky.acknowledge(&opened).await.status, 204);
                return;
            }
            assert!(Instant::now() < deadline, "{fault:?}: the module does not come back: {}", self.broker.log());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// One worker with a short deadline, so that what hangs is soon replaced.
fn provider(name: &str, module: &Path, settings: &Path) -> String {
    format!(
        "\n[providers.{name}]\ntype = \"pkcs11\"\nmodule = \"{}\"\ntoken = \"{name}\"\npin = {{ env = \"PIN\" }}\n\
         call_deadline_ms = 500\ncalls = {{ deadline_ms = 2000, concurrency = 4 }}\n\
         [providers.{name}.environment]\nSOFTHSM2_CONF = \"{}\"\n",
        module.display(),
        settings.display()
    )
}

fn tool(settings: &Path, program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).env("SOFTHSM2_CONF", settings).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A tenant with a device that has one record; the verifier key of its log.
async fn tenant(broker: &Broker, name: &str) -> (String, Raw) {
    let made = broker.admin_ok("", json!({"id": name, "name": name, "unattested_days": 30})).await;
    broker.admin_ok(&format!("/{name}/users"), json!({"id": "alice"})).await;
    broker.admin_ok(&format!("/{name}/keks"), json!({"provider": name, "key": name})).await;
    let device = Raw::enrol(broker, name, "alice").await;
    device.backup("identity", 1, b"any key").await;
    (made["vkey"].as_str().unwrap().into(), device)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_misbehaves_costs_its_own_tenant_a_moment_and_the_other_nothing() {
    let scene = Arc::new(Scene::start().await);
    let stop = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn({
        let (scene, stop) = (scene.clone(), stop.clone());
        async move {
            let mut restores = 0;
            while !stop.load(Ordering::Relaxed) {
                let (opened, _) = scene.lucky.open("identity").await;
                let answer = scene.lucky.release(&opened).await;
                assert_eq!(answer.status, 200, "the other tenant: {}", answer.code());
                assert_eq!(scene.lucky.acknowledge(&opened).await.status, 204);
                restores += 1;
            }
            restores
        }
    });
    for fault in [Fault::Hang, Fault::Crash, Fault::LeakSessions, Fault::DeviceRemoved, Fault::OpensAnything] {
        let answer = scene.release_under(fault).await;
        let told = (answer.status, if answer.status == 200 { String::new() } else { answer.code() });
        match fault {
            Fault::Hang | Fault::Crash | Fault::DeviceRemoved => {
                assert_eq!(told, (503, "provider_unavailable".into()), "{fault:?}");
            }
            // A leak is mended by another worker; what opens to another payload is caught by its context.
            _ => assert!(told.0 == 200 || told.0 == 503 || told.1 == "kek_mismatch", "{fault:?}: {told:?}"),
        }
        scene.recovers(fault).await;
    }
    stop.store(true, Ordering::Relaxed);
    assert!(others.await.unwrap() > 0);
    let log = scene.broker.verified_log(UNLUCKY, &scene.vkey);
    let failed = outcomes(&log, "restore.failed");
    assert!(failed.iter().filter(|code| *code == "provider_unavailable").count() >= 3, "{failed:?}");
    assert_eq!(outcomes(&log, "restore.intent").len(), outcomes(&log, "restore.released").len() + failed.len());
}
