//! What becomes of notices when the broker, the mail server or the database misbehaves; and that no restore waits for them.

use crate::harness::mail::{subject, told, told_with};
use crate::harness::{Broker, Raw, TENANT, outcomes};
use counterparts::front::{Fault, Front};
use counterparts::smtp::{Smtp, Speech};
use protocol::encoding::Base64Url;
use protocol::sealing::OpeningKey;
use serde_json::{Value, json};
use sqlx::{Connection, Executor};
use std::fs;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LATEST: Duration = Duration::from_secs(60);

/// A device of `alice` with one record.
async fn device(broker: &Broker) -> Raw {
    let device = Raw::enrol(broker, TENANT, "alice").await;
    device.backup("identity", 1, b"the key").await;
    device
}

async fn restore(device: &Raw) {
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200);
    assert_eq!(device.acknowledge(&opened).await.status, 204);
}

async fn waiting(broker: &Broker) -> u32 {
    let count = broker.sql("SELECT CAST(COUNT(*) AS TEXT) FROM notices").await.unwrap();
    count.parse().unwrap()
}

/// Waits until so many notices wait.
async fn until_waiting(broker: &Broker, count: u32) {
    let deadline = Instant::now() + LATEST;
    while waiting(broker).await != count {
        assert!(Instant::now() < deadline, "{} notices wait: {}", waiting(broker).await, broker.log());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until this channel has tried in vain.
async fn until_retried(broker: &Broker, channel: &str) {
    let retried = format!("keyfold_notices_total{{channel=\"{channel}\",outcome=\"retried\"}}");
    let deadline = Instant::now() + LATEST;
    while !broker.text("/metrics").await.contains(&retried) {
        assert!(Instant::now() < deadline, "{channel} never tries");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Makes what waits due at once.
async fn hurry(broker: &Broker) {
    broker.sql("UPDATE notices SET not_before = 0").await;
}

/// A webhook of this name, at this path.
fn webhook(name: &str, tenants: &str, url: &str) -> String {
    format!(
        "\n[[notices.webhooks]]\nname = \"{name}\"\nurl = \"{url}/{name}\"\nkeys = [{{ file = \"hook-key\" }}]\n{tenants}\
         connection = {{ allow_networks = [\"127.0.0.0/8\"], timeout_seconds = 2 }}\n"
    )
}

fn taken() -> Fault {
    Fault::Answer { status: 204, headers: vec![], body: String::new() }
}

fn message_ids(mails: &[Value]) -> Vec<String> {
    let of_mail = |mail: &Value| {
        let headers = mail["headers"].as_array().unwrap();
        headers.iter().find(|header| header[0] == "Message-ID").unwrap()[1].as_str().unwrap().to_owned()
    };
    mails.iter().map(of_mail).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_event_and_mail_it_still_tells_and_at_most_twice() {
    let (mut broker, mut server, vkey) = told().await;
    let device = device(&broker).await;
    for round in 1..=5 {
        // At first while nobody listens, so that the event is there and the mail is not; later at any moment.
        if round == 1 {
            server.stop();
        }
        let (opened, _) = device.open("identity").await;
        sleep(Duration::from_millis(round * 250 - 250)).await;
        broker.kill();
        assert_eq!(broker.sql("SELECT state FROM restores ORDER BY id DESC LIMIT 1").await.unwrap(), "approved");
        if round == 1 {
            assert_eq!(waiting(&broker).await, 1);
            server.resume().await;
        }
        hurry(&broker).await;
        broker.run(&[]).await;
        until_waiting(&broker, 0).await;
        let restore = opened.restore.to_string();
        let of_restore: Vec<Value> =
            server.taken().into_iter().filter(|mail| mail["text"].as_str().unwrap().contains(&restore)).collect();
        assert!((1..=2).contains(&of_restore.len()), "{} mails about one request", of_restore.len());
        let ids = message_ids(&of_restore);
        assert!(ids.iter().all(|id| *id == ids[0]), "the same notice has the same id: {ids:?}");
    }
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "restore.requested").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_restore_waits_for_who_is_to_be_told() {
    let hook = Front::before("http://127.0.0.1:1").await;
    hook.fail(None, Fault::Hang);
    let section = webhook("soc", "", &hook.url());
    let (broker, mut server, _) = told_with(|config| config + &section).await;
    let device = device(&broker).await;
    server.stop();
    let began = Instant::now();
    for _ in 0..20 {
        restore(&device).await;
    }
    let without = began.elapsed();
    let asked_and_released = 20 * 2;
    assert_eq!(waiting(&broker).await, asked_and_released * 2 + 1, "by mail and to the webhook, and the new address");
    eprintln!("20 restores in {without:?}, while nobody takes a notice");
    assert!(without < Duration::from_secs(30), "{without:?}");
    until_retried(&broker, "mail").await;
    until_retried(&broker, "webhook:soc").await;
    hook.heal();
    hook.fail(None, taken());
    server.resume().await;
    hurry(&broker).await;
    assert_eq!(server.taken_at_least(40).await.len(), 40);
    until_waiting(&broker, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_not_sent_again_while_the_database_fails() {
    let (broker, mut server, _) = told().await;
    let device = device(&broker).await;
    server.stop();
    device.open("identity").await;
    hurry(&broker).await;
    let mut database = broker.database().await;
    database.execute("BEGIN IMMEDIATE").await.unwrap();
    server.resume().await;
    server.taken_at_least(1).await;
    // Longer than a look, a try to write and the wait after it take together.
    sleep(Duration::from_secs(10)).await;
    database.execute("ROLLBACK").await.unwrap();
    database.close().await.unwrap();
    until_waiting(&broker, 0).await;
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_does_not_keep_the_broker_from_ending() {
    let (mut broker, server, _) = told().await;
    let device = device(&broker).await;
    broker.admin_ok("/acme/users/alice/email", json!({"email": "slow@corp.example"})).await;
    until_waiting(&broker, 0).await;
    device.open("identity").await;
    sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    broker.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!((waiting(&broker).await, server.taken().len()), (1, 1), "it waits for the next start");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_has_nobody_told() {
    let (broker, server, _) = told().await;
    let device = device(&broker).await;
    let receive = Base64Url(OpeningKey::generate().public().clone());
    let ask = json!({"kinds": ["identity"], "receive_key": receive, "reason": "test"});
    let (path, nonce) = (device.path("/restores"), device.nonce().await);
    let body = device.sign(&path, &nonce, ask.to_string().as_bytes());
    assert_eq!(device.send(&path, body.clone()).await.status, 201);
    for _ in 0..3 {
        assert_eq!(device.send(&path, body.clone()).await.code(), "bad_nonce");
    }
    broker.revoke(TENANT, "device", Some(&device.id().to_string())).await;
    assert_eq!(device.ask(json!({"kinds": ["identity"]}), &receive.0).await.code(), "device_inactive");
    until_waiting(&broker, 0).await;
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_for_a_day_and_what_is_refused_for_good_is_given_up_with_an_event() {
    let (broker, mut server, vkey) = told().await;
    let device = device(&broker).await;
    server.stop();
    let (opened, _) = device.open("identity").await;
    broker.sql("UPDATE notices SET created_at = created_at - 86400000, not_before = 0").await;
    until_waiting(&broker, 0).await;
    server.resume().await;
    broker.admin_ok("/acme/users/alice/email", json!({"email": "refused@corp.example"})).await;
    assert_eq!(subject(&server.taken_at_least(1).await[0]), "your address for notices was changed");
    device.open("identity").await;
    until_waiting(&broker, 0).await;
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "notice.failed"), ["not_taken", "smtp_550"]);
    let failed = log.iter().find(|event| event["evt"] == "notice.failed").unwrap();
    assert_eq!(failed["cor"], opened.restore.to_string());
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_the_database_has_nobody_told_anything() {
    let (mut broker, mut server, vkey) = told().await;
    let device = device(&broker).await;
    server.stop();
    for _ in 0..3 {
        device.open("identity").await;
    }
    assert_eq!(waiting(&broker).await, 3);
    // The first has another's content, the second lacks a byte, the third goes where nobody sends.
    let moved = "UPDATE notices SET sealed = (SELECT sealed FROM notices ORDER BY id DESC LIMIT 1)
                 WHERE id = (SELECT MIN(id) FROM notices)";
    let cut = "UPDATE notices SET sealed = substr(sealed, 1, length(sealed) - 1)
               WHERE id = (SELECT id FROM notices ORDER BY id LIMIT 1 OFFSET 1)";
    broker.sql(moved).await;
    broker.sql(cut).await;
    broker.sql("UPDATE notices SET channel = 'webhook:gone' WHERE id = (SELECT MAX(id) FROM notices)").await;
    let database = fs::read(broker.path("keyfold.db-wal")).unwrap();
    for word in ["alice@corp.example</", "/veto/", "a device has asked"] {
        assert!(!database.windows(word.len()).any(|bytes| bytes == word.as_bytes()), "{word} is not sealed");
    }
    server.resume().await;
    hurry(&broker).await;
    until_waiting(&broker, 1).await;
    assert!(server.taken().is_empty());
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "notice.failed"), ["sealed_invalid", "sealed_invalid"]);
    broker.kill();
    broker.sql("UPDATE notices SET created_at = created_at - 86400000").await;
    broker.run(&[]).await;
    until_waiting(&broker, 0).await;
    let failed = outcomes(&broker.verified_log(TENANT, &vkey), "notice.failed");
    assert_eq!(failed, ["sealed_invalid", "sealed_invalid", "not_taken"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_told_nothing_and_nothing_of_them_waits() {
    let (broker, mut server, _) = told().await;
    let device = device(&broker).await;
    server.stop();
    device.open("identity").await;
    assert_eq!(waiting(&broker).await, 1);
    broker.revoke(TENANT, "user", Some("alice")).await;
    broker.admin_ok("/acme/users/alice/erase", json!({"reason": "asked for"})).await;
    assert_eq!(waiting(&broker).await, 0);
    assert_eq!(broker.admin("/acme/users/alice", None).await.1["email"], Value::Null);
    assert_eq!(broker.sql("SELECT CAST(version AS TEXT) FROM users").await.unwrap(), "0", "the document is blank");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_of_its_tenants() {
    let hook = Front::before("http://127.0.0.1:1").await;
    hook.fail(None, taken());
    let sections = webhook("soc", "", &hook.url()) + &webhook("other", "tenants = [\"other\"]\n", &hook.url());
    let (broker, server, _) = told_with(|config| config + &sections).await;
    restore(&device(&broker).await).await;
    server.taken_at_least(2).await;
    until_waiting(&broker, 0).await;
    let paths: Vec<String> = hook.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/soc", "/soc", "/soc"], "an address, a request, a release");
    let body: Value = serde_json::from_slice(&hook.seen()[1].body).unwrap();
    assert_eq!((&body["type"], &body["tenant"]), (&json!("restore.requested"), &json!(TENANT)));
    assert_eq!(body["data"]["restore"]["reason"], "test");
}

#[tokio::test]
async fn a_configuration_that_would_send_in_clear_does_not_start() {
    let server = Smtp::start(Speech::Plaintext).await;
    for mail in [
        format!("host = \"mail.example\"\nport = {}\nsecurity = \"plaintext\"", server.port()),
        "host = \"127.0.0.1\"\nsecurity = \"plaintext\"\nca = \"ca.pem\"".to_owned(),
        "host = \"127.0.0.1\"\nuser = \"keyfold\"".to_owned(),
    ] {
        let section = format!("\n[notices.mail]\nfrom = \"keyfold@broker.example\"\n{mail}\n");
        let broker = Broker::prepared(|config| config + &section);
        let config = broker.path("keyfold.toml");
        let ended = crate::harness::keyfold(&["serve", "--config", config.to_str().unwrap()]);
        assert!(!ended.status.success());
        let said = crate::harness::text(&ended.stderr);
        assert!(said.contains("notices.mail"), "{said}");
    }
}
