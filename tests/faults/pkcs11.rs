//! An HSM's keys come and go: a SoftHSM2 token, changed by OpenSC's tool from another process.

use crate::harness::{Answer, Broker, KEYFOLD, Raw, outcomes, text};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The tenant whose KEK is on the token, under the same name.
const VAULT: &str = "vault";

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

    async fn run(&mut self) {
        let settings = format!("SOFTHSM2_CONF={}", self.settings.display());
        self.broker.run(&["env", &settings, "PIN=1234"]).await;
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

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_deleted_or_replaced_releases_nothing() {
    let mut scene = Scene::prepared();
    scene.init_token();
    scene.create_key();
    scene.run().await;
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

#[test]
fn without_its_token_or_with_a_wrong_pin_the_broker_does_not_start() {
    let scene = Scene::prepared();
    let config = scene.broker.path("keyfold.toml");
    let serve = |pin: &str| {
        let words = ["serve", "--config", config.to_str().unwrap()];
        let mut command = Command::new(KEYFOLD);
        let output = command.args(words).env("SOFTHSM2_CONF", &scene.settings).env("PIN", pin).output().unwrap();
        assert!(!output.status.success());
        text(&output.stderr)
    };
    assert!(serve("1234").contains("provider `hsm` cannot be used: the module has no token of that label"));
    scene.init_token();
    let refused = serve("4321");
    assert!(refused.contains("the provider refused the broker's credentials"), "{refused}");
    assert!(!refused.contains("4321"));
}
