//! The life of a KEK as an operator types it.

use crate::harness::{Broker, TENANT, keyfold, text};
use secret::Secret;
use serde_json::Value;
use std::process::Output;

/// A tenant with one record, and two administrators at their terminals.
struct Scene(Broker);

impl Scene {
    async fn start() -> Self {
        let broker = Broker::start_with(|config| Broker::with_two_administrators(&config)).await;
        broker.with_tenant().await;
        broker.keystore(&["add", "second"]);
        let mut device = broker.enrol(TENANT, "alice").await;
        device.backup(&"identity".parse().unwrap(), &Secret::copied_from(b"the key"), None).await.unwrap();
        Self(broker)
    }

    fn run(&self, token: &str, words: &[&str]) -> Output {
        let (url, ca, token) = (self.0.url(""), self.0.path("ca.pem"), self.0.path(token));
        let options = ["admin", "--url", &url, "--ca", ca.to_str().unwrap(), "--token-file", token.to_str().unwrap()];
        keyfold(&[&options[..], words].concat())
    }

    /// What the first administrator's command prints; it must succeed.
    fn says(&self, words: &[&str]) -> String {
        let output = self.run("admin-token", words);
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Why it fails.
    fn refuses(&self, words: &[&str]) -> String {
        let output = self.run("admin-token", words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[words, &["--json"]].concat())).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kek_is_probed_rotated_left_and_destroyed_from_a_terminal() {
    let scene = Scene::start().await;
    let first = scene.json(&["kek", "list", TENANT])[0]["id"].as_str().unwrap().to_owned();

    let probe = ["kek", "probe", TENANT, "--provider", "software", "--key"];
    assert_eq!(scene.says(&[&probe[..], &["second"]].concat()).lines().count(), 3);
    assert!(scene.refuses(&[&probe[..], &["none"]].concat()).contains("cannot be used"));
    let second = scene.says(&["kek", "register", TENANT, "--provider", "software", "--key", "second"]);
    let second = second.trim();

    assert!(scene.refuses(&["kek", "rotate", TENANT, &first]).contains("nothing_to_rotate"));
    assert_eq!(scene.says(&["kek", "rotate", TENANT, &first, "--force"]), "version 2\n");
    assert!(scene.says(&["kek", "show", TENANT, &first]).contains("1 records under an older one"));
    let moved = scene.says(&["rewrap", "start", TENANT, "--wait"]);
    assert!(moved.contains("completed: 1 of 1 records"), "{moved}");
    assert!(scene.says(&["kek", "show", TENANT, &first]).contains("0 records under an older one"));

    let because = ["--reason", "test"];
    assert!(
        scene.says(&[&["kek", "disable", TENANT, &first][..], &because].concat()).starts_with("disabled, effective")
    );
    assert!(scene.refuses(&["rewrap", "start", TENANT]).contains("kek_inactive"));
    assert_eq!(scene.says(&[&["kek", "enable", TENANT, &first][..], &because].concat()), "active\n");
    assert_eq!(
        scene.says(&["tenant", "protect", TENANT, "--kek", second, "--standby", &first]),
        format!("{second} or {first}\n")
    );
    scene.says(&["rewrap", "start", TENANT, "--wait"]);
    assert_eq!(scene.json(&["rewrap", "list", TENANT]).as_array().unwrap().len(), 2);

    let asked = scene.says(&[&["kek", "destroy", TENANT, &first][..], &because].concat());
    assert!(asked.starts_with("0 records will be lost, 1 stay openable"), "{asked}");
    let order = scene.json(&["kek", "destructions", TENANT])[0]["id"].as_str().unwrap().to_owned();
    let confirm = ["kek", "confirm", TENANT, &order, "--records", "0"];
    assert!(scene.refuses(&confirm).contains("second_administrator_needed"));
    let confirmed = scene.run("second-token", &confirm);
    assert!(text(&confirmed.stdout).starts_with("destroyed: 0 records lost, 1 kept"), "{}", text(&confirmed.stderr));
    assert!(scene.refuses(&["kek", "cancel", TENANT, &order]).contains("destruction_over"));
    let drill = scene.says(&["drill", TENANT, "--sample", "10"]);
    assert!(drill.contains('1'), "{drill}");
}
