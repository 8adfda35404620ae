//! An HSM's keys come and go: a SoftHSM2 token, changed by OpenSC's tool from another process.

use crate::harness::{Answer, Broker, Raw, outcomes, text};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The tenant whose KEK is on the token, under the same name.
const VAULT: &str = "vault";

/// How the kernel says that a process leaves no core dump.
const CORE_LIMIT: [&str; 7] = ["Max", "core", "file", "size", "0", "0", "bytes"];

/// A broker with the provider `hsm`, not running yet.
struct Scene {
    broker: Broker,
    settings: PathBuf,
}

impl Scene {
    fn prepared() -> Self {
        let broker = Broker::prepared(|config| {
            config
                + &format!(
                    "\n[providers.hsm]\ntype = \"pkcs11\"\nmodule = \"{MODULE}\"\ntoken = \"keyfold\"\n\
                     pin = {{ env = \"PIN\" }}\n"
                )
        });
        let (settings, tokens) = (broker.path("softhsm2.conf"), broker.path("tokens"));
        fs::create_dir(&tokens).unwrap();
        fs::write(&settings, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        Self { broker, settings }
    }

    fn init_token(&self) {
        let init = ["--init-token", "--free", "--label", "keyfold", "--so-pin", "12345678", "--pin", "1234"];
        self.tool("softhsm2-util", &init);
    }

    async fn run(&mut self, pin: &str) {
        let (settings, pin) = (format!("SOFTHSM2_CONF={}", self.settings.display()), format!("PIN={pin}"));
        self.broker.run(&["env", &settings, &pin]).await;
    }

    /// The process id of the only worker.
    fn worker(&self) -> u32 {
        let found = Command::new("pgrep").args(["--parent", &self.broker.pid().to_string()]).output().unwrap();
        text(&found.stdout).trim().parse().expect("one worker")
    }

    fn pkcs11_tool(&self, words: &[&str]) {
        let login = ["--module", MODULE, "--token-label", "keyfold", "--login", "--pin", "1234"];
        self.tool("pkcs11-tool", &[&login, words].concat());
    }

    fn create_key(&self) {
        self.pkcs11_tool(&["--keygen", "--key-type", "AES:32", "--label", VAULT, "--usage-wrap", "--sensitive"]);
    }

    fn delete_key(&self) {
        self.pkcs11_tool(&["--delete-object", "--type", "secrkey", "--label", VAULT]);
    }

    fn tool(&self, program: &str, words: &[&str]) {
        let output = Command::new(program).args(words).env("SOFTHSM2_CONF", &self.settings).output().unwrap();
        assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_deleted_or_replaced_releases_nothing() {
    let mut scene = Scene::prepared();
    scene.init_token();
    scene.create_key();
    scene.run("1234").await;
    let broker = &scene.broker;
    let made = broker.admin_ok("", json!({"id": VAULT, "name": VAULT, "unattested_days": 30})).await;
    broker.admin_ok("/vault/users", json!({"id": "alice"})).await;
    broker.admin_ok("/vault/keks", json!({"provider": "hsm", "key": VAULT})).await;
    let device = Raw::enrol(broker, VAULT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200);

    let (opened, _) = device.open("identity").await;
    scene.delete_key();
    assert_eq!(told(&device.release(&opened).await), (409, "kek_not_found".into()));
    assert_eq!(told(&device.send_wrap(&device.wrap("identity", 2, b"x")).await), (409, "kek_not_found".into()));
    scene.create_key();
    assert_eq!(told(&device.release(&opened).await), (409, "kek_mismatch".into()));
    assert_eq!(told(&device.release(&opened).await), (410, "restore_over".into()));

    let log = broker.verified_log(VAULT, made["vkey"].as_str().unwrap());
    assert_eq!(outcomes(&log, "restore.failed"), ["kek_not_found", "kek_mismatch"]);
    assert_eq!(outcomes(&log, "wrap.failed"), ["kek_not_found"]);
    assert_eq!(outcomes(&log, "finding.raised"), ["wrapped_mismatch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_token_or_with_a_wrong_pin_the_broker_starts_and_says_so() {
    let mut scene = Scene::prepared();
    scene.run("1234").await;
    let broker = &scene.broker;
    broker.admin_ok("", json!({"id": VAULT, "name": VAULT, "unattested_days": 30})).await;
    let register = async |broker: &Broker| {
        let (status, answer) = broker.admin("/vault/keks", Some(json!({"provider": "hsm", "key": VAULT}))).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(register(broker).await, (503, "provider_unavailable".into()));
    scene.init_token();
    scene.create_key();
    let deadline = Instant::now() + Duration::from_secs(10);
    while register(&scene.broker).await.0 != 201 {
        assert!(Instant::now() < deadline, "the token is found when it comes");
        sleep(Duration::from_millis(100)).await;
    }

    scene.broker.stop();
    scene.run("4321").await;
    assert_eq!(register(&scene.broker).await, (502, "provider_refused".into()));
    assert!(!scene.broker.log().contains("4321"));
}

/// What a provider needs to unwrap, its version among it, is kept for the root key too.
#[tokio::test(flavor = "multi_thread")]
async fn the_root_key_can_be_on_the_token() {
    let mut scene = Scene::prepared();
    scene.init_token();
    scene.create_key();
    let config = scene.broker.path("keyfold.toml");
    let text = fs::read_to_string(&config).unwrap();
    let on_token =
        text.replace("provider = \"software\"\nkey = \"root\"", &format!("provider = \"hsm\"\nkey = \"{VAULT}\""));
    assert_ne!(on_token, text);
    fs::write(&config, on_token).unwrap();
    scene.run("1234").await;
    scene.broker.stop();
    scene.run("1234").await;
}

/// A crash of the module's process costs that process, and the next call finds another.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_is_replaced_and_ends_with_the_broker() {
    let mut scene = Scene::prepared();
    scene.init_token();
    scene.create_key();
    scene.run("1234").await;
    scene.broker.admin_ok("", json!({"id": VAULT, "name": VAULT, "unattested_days": 30})).await;
    scene.broker.admin_ok("/vault/users", json!({"id": "alice"})).await;
    scene.broker.admin_ok("/vault/keks", json!({"provider": "hsm", "key": VAULT})).await;
    let device = Raw::enrol(&scene.broker, VAULT, "alice").await;
    let first = scene.worker();
    let shown = |file: &str| text(&fs::read(format!("/proc/{first}/{file}")).unwrap());
    assert!(shown("environ").contains("SOFTHSM2_CONF=") && !shown("environ").contains("PIN="), "{}", shown("environ"));
    assert!(!shown("cmdline").contains("1234"), "{}", shown("cmdline"));
    assert!(shown("limits").lines().any(|line| line.split_whitespace().collect::<Vec<_>>()[..] == CORE_LIMIT));
    kill(first);
    device.backup("identity", 1, b"any key").await;
    let second = scene.worker();
    assert_ne!(first, second);
    let tested = r#""mechanism":"aes-kw","outcome":"Usable"},"span":{"provider":"hsm","#;
    assert!(scene.broker.log().contains(tested), "{}", scene.broker.log());
    let deadline = Instant::now() + Duration::from_secs(5);
    while !scene.broker.text("/metrics").await.contains("keyfold_pkcs11_restarts_total{provider=\"hsm\"} 1\n") {
        assert!(Instant::now() < deadline, "the restart is not counted");
        sleep(Duration::from_millis(100)).await;
    }
    scene.broker.kill();
    let deadline = Instant::now() + Duration::from_secs(5);
    while PathBuf::from(format!("/proc/{second}")).exists() {
        assert!(Instant::now() < deadline, "the worker outlives its broker");
        sleep(Duration::from_millis(20)).await;
    }
}
