//! Two histories of one log, or one that was cut: the witness knows, and the broker stops that tenant.

use crate::harness::{Broker, Raw, TENANT, text};
use crate::watch::{Watch, configure, metric, until, until_witnessed, watched, without_witnesses};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const FROZEN: &str = "keyfold_log_frozen{tenant=\"acme\"} ";

/// All files of a stopped broker's database.
fn copy_database(from: &Path, to: &Path) {
    for name in ["keyfold.db", "keyfold.db-wal", "keyfold.db-shm"] {
        let _absent = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

fn folder(broker: &Broker) -> std::path::PathBuf {
    broker.path("keyfold.db").parent().unwrap().to_owned()
}

async fn create_user(broker: &Broker, user: &str) -> (u16, Value) {
    broker.admin(&format!("/{TENANT}/users"), Some(json!({"id": user}))).await
}

async fn grow(broker: &Broker, by: usize, name: &str) {
    for number in 0..by {
        assert_eq!(create_user(broker, &format!("{name}-{number}")).await.0, 201);
    }
}

async fn until_frozen(broker: &Broker) {
    until("the log is frozen", async || metric(broker, FROZEN).await == Some(1.0)).await;
    let (status, problem) = create_user(broker, "late").await;
    assert_eq!((status, &problem["code"]), (503, &"log_frozen".into()));
}

/// Another tenant goes on; this one stays frozen over restarts, without the witness too, until an administrator thaws it.
async fn check_frozen_for_good(mut broker: Broker, vkey: &str) {
    until_frozen(&broker).await;
    let other = broker.tenant("other", "carol").await;
    broker.stop();
    without_witnesses(&broker);
    broker.run(&[]).await;
    let (status, problem) = create_user(&broker, "later").await;
    assert_eq!((status, &problem["code"]), (503, &"log_frozen".into()));
    assert_eq!(broker.verified_log("other", &other).len(), 3, "a tenant, its KEK and a user");
    let frozen = broker.verified_log(TENANT, vkey).len();

    let thaw = || broker.run_admin(&["thaw", TENANT, "--reason", "restored from the copy of Monday"]);
    assert!(thaw().status.success());
    assert_eq!(create_user(&broker, "after").await.0, 201);
    assert!(text(&thaw().stderr).contains("log_not_frozen"));
    let log = broker.verified_log(TENANT, vkey);
    assert_eq!((&log[frozen]["evt"], &log[frozen + 1]["evt"]), (&"log.thawed".into(), &"user.created".into()));
    assert_eq!(log[frozen]["disclosed"]["reason"], "restored from the copy of Monday");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_brokers_on_copies_of_one_database_the_second_is_frozen() {
    let (mut first, vkey, watch) = watched().await;
    first.stop();
    let mut second = Broker::prepared(|config| config);
    copy_database(&folder(&first), &folder(&second));
    for name in ["keystore.json", "passphrase"] {
        fs::copy(first.path(name), second.path(name)).unwrap();
    }
    first.run(&[]).await;
    grow(&first, 3, "first").await;
    let witnessed = until_witnessed(&first, &vkey).await;

    // The second grows past the first before the witness hears of it.
    second.run(&[]).await;
    grow(&second, 7, "second").await;
    second.stop();
    configure(&second, &watch.entry());
    second.run(&[]).await;
    until_frozen(&second).await;
    assert!(second.log().contains("\"contradiction\":\"forked\""), "{}", second.log());
    assert_eq!(until_witnessed(&first, &vkey).await, witnessed, "the witness stays with the first");
    grow(&first, 1, "still").await;
    until_witnessed(&first, &vkey).await;
    check_frozen_for_good(second, &vkey).await;
}

/// A broker whose database was put back to what it was five events ago, before it runs again.
async fn rolled_back(prepare: impl AsyncFnOnce(&Broker)) -> (Broker, String, Watch) {
    let (mut broker, vkey, watch) = watched().await;
    prepare(&broker).await;
    until_witnessed(&broker, &vkey).await;
    broker.stop();
    let copy = TempDir::new().unwrap();
    copy_database(&folder(&broker), copy.path());
    broker.run(&[]).await;
    grow(&broker, 5, "gone").await;
    until_witnessed(&broker, &vkey).await;
    broker.stop();
    copy_database(copy.path(), &folder(&broker));
    (broker, vkey, watch)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_put_back_is_noticed_at_the_start() {
    let (mut broker, vkey, _watch) = rolled_back(async |_| ()).await;
    broker.run(&[]).await;
    check_frozen_for_good(broker, &vkey).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_releases_are_witnessed_nothing_is_released_from_a_database_that_was_put_back() {
    let mut opened = None;
    let (mut broker, vkey, _watch) = rolled_back(async |broker| {
        let device = Raw::enrol(broker, TENANT, "alice").await;
        device.backup("identity", 1, b"key").await;
        let (restore, _) = device.open("identity").await;
        opened = Some((device, restore));
    })
    .await;
    let (device, restore) = opened.unwrap();
    configure(&broker, "\n[release]\nrequires = \"witnessed\"\n");
    broker.run(&[]).await;
    let before = broker.unwraps().await;
    let answer = device.release(&restore).await;
    assert!(
        [(503, "log_frozen"), (503, "witness_unavailable")].contains(&(answer.status, &answer.code())),
        "{answer:?}"
    );
    until_frozen(&broker).await;
    assert_eq!(device.release(&restore).await.code(), "log_frozen");
    assert_eq!(broker.unwraps().await, before, "no key was unwrapped");
    let out = TempDir::new().unwrap();
    broker.export(TENANT, &vkey, &out.path().join("export"));
    let events = fs::read_to_string(out.path().join("export/events.ndjson")).unwrap();
    assert!(!events.contains("restore.released"), "{events}");
    assert!(text(&fs::read(broker.path("log")).unwrap()).contains("a witness knows another log"));
}
