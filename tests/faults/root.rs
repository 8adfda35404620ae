//! The broker's own keys and its log: missing, foreign or altered, and it does not start or does not append.

use crate::harness::{Broker, KEYFOLD, Raw, TENANT, text};
use std::fs;
use std::process::Command;

/// Changes the database behind the broker's back, with Python's own SQLite.
pub(crate) fn edit_database(broker: &Broker, sql: &str) {
    let script = "import sqlite3,sys
db = sqlite3.connect(sys.argv[1], timeout=20)
changed = db.execute(sys.argv[2]).rowcount
db.commit()
sys.exit(0 if changed > 0 else 'nothing was changed')";
    let database = broker.path("keyfold.db");
    let output = Command::new("python3").args(["-c", script]).arg(database).arg(sql).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A broker that has run and was stopped.
async fn stopped() -> Broker {
    let mut broker = Broker::start().await;
    broker.with_tenant().await;
    broker.stop();
    broker
}

/// Why it does not start.
fn refusal(broker: &Broker) -> String {
    let config = broker.path("keyfold.toml");
    let output = Command::new("timeout").args(["60", KEYFOLD, "serve", "--config"]).arg(config).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_root_key_it_does_not_start() {
    let broker = stopped().await;
    let passphrase = fs::read_to_string(broker.path("passphrase")).unwrap();
    fs::write(broker.path("passphrase"), "another passphrase\n").unwrap();
    let refused = refusal(&broker);
    assert!(refused.contains("provider `software` cannot be used: the passphrase is wrong"), "{refused}");
    assert!(!refused.contains("another passphrase"));
    fs::write(broker.path("passphrase"), passphrase).unwrap();

    broker.keystore(&["disable", "root"]);
    let refused = refusal(&broker);
    assert!(refused.contains("the root provider does not open this database's keys: the key is disabled"), "{refused}");
    broker.keystore(&["delete", "root", "--confirm", "root"]);
    assert!(refusal(&broker).contains("the root provider does not open this database's keys: no such key"));
    broker.keystore(&["add", "root"]);
    assert!(refusal(&broker).contains("the root provider does not open this database's keys: the wrapped bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_brokers_root_key_it_does_not_start() {
    let (broker, other) = (stopped().await, stopped().await);
    for file in ["keystore.json", "passphrase"] {
        fs::copy(other.path(file), broker.path(file)).unwrap();
    }
    let refused = refusal(&broker);
    assert!(refused.contains("the root provider does not open this database's keys"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_altered_key_of_its_own_it_does_not_start() {
    for (purpose, complaint) in [
        ("seal", "the root provider does not open this database's keys"),
        ("event", "a sealed event key does not open"),
        ("nonce", "a sealed nonce key does not open"),
    ] {
        let broker = stopped().await;
        let altered = format!("sealed = zeroblob(length(sealed)) WHERE purpose = '{purpose}' AND tenant = ''");
        edit_database(&broker, &format!("UPDATE broker_keys SET {altered}"));
        let refused = refusal(&broker);
        assert!(refused.contains(complaint), "{purpose}: {refused}");
        edit_database(&broker, &format!("DELETE FROM broker_keys WHERE purpose = '{purpose}'"));
        assert!(refusal(&broker).contains(&format!("the tenant has no {purpose} key")), "{purpose}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_two_tenants_cannot_be_exchanged() {
    let mut broker = stopped().await;
    broker.run(&[]).await;
    broker.tenant("other", "bob").await;
    let log_key = "(SELECT sealed FROM broker_keys WHERE purpose = 'log' AND tenant = 'other')";
    edit_database(
        &broker,
        &format!("UPDATE broker_keys SET sealed = {log_key} WHERE purpose = 'log' AND tenant = 'acme'"),
    );
    broker.stop();
    broker.run(&[]).await;
    let (status, problem) = broker.admin("/acme/users", Some(serde_json::json!({"id": "carol"}))).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("storage_unavailable")));
    broker.admin_ok("/other/users", serde_json::json!({"id": "carol"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_an_altered_log_nothing_is_appended_and_nothing_is_released() {
    for alteration in [
        "UPDATE leaves SET leaf = replace(leaf, 'e', 'f') WHERE tenant = 'acme' AND leaf_index = 2",
        "DELETE FROM leaves WHERE tenant = 'acme' AND leaf_index > 3",
        "UPDATE log_heads SET size = size - 1 WHERE tenant = 'acme'",
        "UPDATE log_heads SET root = zeroblob(32) WHERE tenant = 'acme'",
        "DELETE FROM log_heads WHERE tenant = 'acme'",
        // Another signature under the same head.
        "UPDATE log_heads SET checkpoint = substr(checkpoint, 1, length(checkpoint) - 12) || 'AAAAAAAAAA=' || char(10)
         WHERE tenant = 'acme'",
    ] {
        let mut broker = Broker::start().await;
        broker.with_tenant().await;
        broker.tenant("other", "bob").await;
        let device = Raw::enrol(&broker, TENANT, "alice").await;
        device.backup("identity", 1, b"any key").await;
        let (opened, _) = device.open("identity").await;
        broker.kill();
        edit_database(&broker, alteration);
        broker.run(&[]).await;
        let answer = device.release(&opened).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "log_frozen"), "{alteration}: {answer:?}");
        // Another tenant's log is none of its business.
        Raw::enrol(&broker, "other", "bob").await.backup("identity", 1, b"bob's key").await;
    }
}
