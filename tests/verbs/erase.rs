//! A person is erased from the log: nobody can read any more what it withholds about them, and it still verifies.

use crate::harness::{Broker, Raw, TENANT, keyfold, outcomes, text};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

async fn erase(broker: &Broker, user: &str) -> (u16, Value) {
    broker.admin(&format!("/{TENANT}/users/{user}/erase"), Some(json!({"reason": "request 4711"}))).await
}

/// The person's key as it lies in the database.
async fn sealed_key(broker: &Broker) -> Vec<u8> {
    let key = broker.sql("SELECT hex(sealed) FROM subjects WHERE tenant = 'acme' AND id = 'alice'").await;
    hex::decode(key.unwrap()).unwrap()
}

fn is_in_files(broker: &Broker, needle: &[u8]) -> bool {
    let files = ["keyfold.db", "keyfold.db-wal"].map(|name| fs::read(broker.path(name)).unwrap_or_default());
    files.iter().any(|file| file.windows(needle.len()).any(|part| part == needle))
}

/// Alice has backed up and restored, and so has Bob.
async fn story() -> (Broker, String, Raw) {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    let (opened, _) = device.open("identity").await;
    device.release(&opened).await;
    Raw::enrol(&broker, TENANT, "bob").await.backup("identity", 1, b"any key").await;
    (broker, vkey, device)
}

fn about<'a>(log: &'a [Value], user: &str) -> Vec<&'a Value> {
    log.iter().filter(|event| event["disclosed"]["user"] == user).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_in_no_event_and_every_proof_still_verifies() {
    let (mut broker, vkey, device) = story().await;
    let before = broker.verified_log(TENANT, &vkey);
    let (alice, bob) = (about(&before, "alice"), about(&before, "bob"));
    assert!(alice.len() >= 6, "{alice:?}");

    let (status, refused) = erase(&broker, "alice").await;
    assert_eq!((status, &refused["code"]), (409, &json!("user_not_revoked")));
    broker.revoke(TENANT, "user", Some("alice")).await;
    broker.sql("INSERT INTO approvals SELECT id, 'x', 1, 'approve', x'00', 1 FROM restores").await;
    let key = sealed_key(&broker).await;
    assert!(is_in_files(&broker, &key));
    let (status, done) = erase(&broker, "alice").await;
    assert_eq!(status, 201, "{done}");
    assert!(!is_in_files(&broker, &key), "neither database nor journal holds the key");
    let (status, refused) = erase(&broker, "alice").await;
    assert_eq!((status, &refused["code"]), (410, &json!("subject_erased")));
    assert_eq!(erase(&broker, "nobody").await.0, 404);

    // What happens to her from now on, nobody can read either; and nothing depends on what the broker remembers.
    assert_eq!(device.send_wrap(&device.wrap("identity", 2, b"any key")).await.code(), "user_inactive");
    for restarted in [false, true] {
        let after = broker.verified_log(TENANT, &vkey);
        assert_eq!(about(&after, "alice"), Vec::<&Value>::new(), "restarted: {restarted}");
        assert_eq!(about(&after, "bob"), bob);
        let marked: Vec<_> = after.iter().filter(|event| event["erased"] == done["erasure"]).collect();
        // The revocation came in between.
        assert_eq!(marked.len(), alice.len() + 1);
        assert!(alice.iter().all(|event| marked.iter().any(|marked| marked["leaf"] == event["leaf"])));
        assert_eq!(outcomes(&after, "subject.erased"), ["ok"]);
        let told = after.iter().find(|event| event["evt"] == "subject.erased").unwrap();
        assert_eq!((&told["cor"], &told["disclosed"]["reason"]), (&done["erasure"], &json!("request 4711")));
        assert!(!Value::Array(after).to_string().contains("alice"));
        broker.stop();
        broker.run(&[]).await;
    }
    let left = broker.sql("SELECT group_concat(tenant) FROM leaves WHERE subject = 'alice'").await;
    assert_eq!((left, broker.sql("SELECT id FROM erasures").await), (None, None));
    assert_eq!(broker.sql("SELECT id FROM restores WHERE user_id = 'alice'").await, None);
    assert_eq!(broker.sql("SELECT restore FROM approvals").await, None);
    let (_, devices) = broker.admin("/acme/devices?user=alice", None).await;
    assert_eq!(devices["items"][0]["name"], "erased", "{devices}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_cut_off_goes_on_at_the_next_start() {
    let (mut broker, vkey, _) = story().await;
    let alice = about(&broker.verified_log(TENANT, &vkey), "alice").len();
    broker.kill();
    // As after the transaction that destroys the key, and before anything that follows it.
    broker.sql("DELETE FROM subjects WHERE id = 'alice'").await;
    let id = "0199f0a0-0000-7000-8000-000000000001";
    broker.sql("INSERT INTO erasures VALUES ('0199f0a0-0000-7000-8000-000000000001', 'acme', 'alice')").await;
    broker.run(&[]).await;
    let marked = async || {
        let log = broker.verified_log(TENANT, &vkey);
        log.iter().filter(|event| event["erased"] == id).count()
    };
    while marked().await < alice {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    while broker.sql("SELECT id FROM erasures").await.is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_erases_who_is_named_twice() {
    let (broker, vkey, _) = story().await;
    broker.revoke(TENANT, "user", Some("alice")).await;
    let words = ["user", "erase", TENANT, "alice", "--reason", "request 4711", "--confirm"];
    let refused = broker.run_admin(&[&words[..], &["bob"]].concat());
    assert!(text(&refused.stderr).contains("nothing was erased"), "{}", text(&refused.stderr));
    let done = broker.run_admin(&[&words[..], &["alice"]].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let erasure = text(&done.stdout);
    let out = TempDir::new().unwrap();
    let dir = out.path().join("export");
    broker.export(TENANT, &vkey, &dir);
    let verified = keyfold(&["verify", dir.to_str().unwrap(), "--vkey", &vkey]);
    let said = text(&verified.stdout);
    assert!(said.contains(&format!("erasure {}", erasure.trim())), "{said}");
}
