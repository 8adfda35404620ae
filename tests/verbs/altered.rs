//! What whoever writes the database cannot do: rows count only as the broker wrote them.

use crate::harness::{Broker, Raw, TENANT};
use protocol::jws::DeviceKey;
use serde_json::{Value, json};
use std::time::Duration;

/// What a device is answered that asks who it is.
async fn asks(device: &Raw) -> u16 {
    device.post(&device.path(&format!("/devices/{}", device.id())), &Value::Null).await.status
}

/// Whose devices the broker knows.
async fn owners(broker: &Broker) -> Vec<Value> {
    let (status, page) = broker.admin("/acme/devices?limit=2", None).await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{page}");
    page["items"].as_array().unwrap().iter().map(|device| device["user"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_whose_it_was_when_it_was_enrolled() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.admin_ok("/acme/users", json!({"id": "bob"})).await;
    let (alices, bobs) = (Raw::enrol(&broker, TENANT, "alice").await, Raw::enrol(&broker, TENANT, "bob").await);
    broker.sql("CREATE TABLE kept AS SELECT * FROM devices").await;
    for (statement, known) in [
        ("UPDATE devices SET user_id = 'alice'", vec!["alice"]),
        ("UPDATE devices SET tenant = 'other' WHERE user_id = 'bob'", vec!["alice"]),
        ("UPDATE devices SET thumbprint = zeroblob(32) WHERE user_id = 'bob'", vec!["alice"]),
        ("UPDATE devices SET sealed = zeroblob(300) WHERE user_id = 'bob'", vec!["alice"]),
        (
            "UPDATE devices SET sealed = (SELECT sealed FROM kept WHERE user_id = 'alice') WHERE user_id = 'bob'",
            vec!["alice"],
        ),
        (
            "INSERT INTO devices SELECT '00000000-0000-7000-8000-000000000001', tenant, user_id, zeroblob(32), state, sealed FROM kept WHERE user_id = 'bob'",
            vec!["alice", "bob"],
        ),
    ] {
        // A statement that fails on its second row has changed neither.
        broker.sql(statement).await;
        assert_eq!(owners(&broker).await, known, "{statement}");
        let answers = (asks(&alices).await, asks(&bobs).await);
        assert_eq!(answers, (200, if known.len() == 2 { 200 } else { 401 }), "{statement}");
        broker.sql("DELETE FROM devices").await;
        broker.sql("INSERT INTO devices SELECT * FROM kept").await;
    }
    assert!(broker.log().contains("a row of `devices` does not open"), "{}", broker.log());
    assert_eq!((asks(&alices).await, asks(&bobs).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_for_whom_it_was_made() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.admin_ok("/acme/users", json!({"id": "bob"})).await;
    let (alices, bobs) = (broker.code(TENANT, "alice").await, broker.code(TENANT, "bob").await);
    broker.sql("CREATE TABLE kept AS SELECT * FROM enrolment_codes").await;
    let key = DeviceKey::generate_p256();
    for statement in [
        "UPDATE enrolment_codes SET user_id = 'alice'",
        "UPDATE enrolment_codes SET sealed = (SELECT sealed FROM kept WHERE user_id = 'alice')",
        "UPDATE enrolment_codes SET user_id = 'alice', sealed = (SELECT sealed FROM kept WHERE user_id = 'alice')",
    ] {
        broker.sql(statement).await;
        let refused = Raw::try_enrol(&broker, TENANT, &bobs, &key).await;
        assert_eq!((refused.status, refused.code()), (403, "enrolment_code_invalid".into()), "{statement}");
        broker.sql("DELETE FROM enrolment_codes").await;
        broker.sql("INSERT INTO enrolment_codes SELECT * FROM kept").await;
    }
    for code in [alices, bobs] {
        assert_eq!(Raw::try_enrol(&broker, TENANT, &code, &DeviceKey::generate_p256()).await.status, 201);
    }
    assert_eq!(owners(&broker).await, ["alice", "bob"]);
}

/// Waits until what the broker reads in its logs has made that true.
async fn until(mut holds: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..100 {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_the_log_tells_of_stands() {
    let mut broker = Broker::start().await;
    broker.with_tenant().await;
    broker.admin_ok("/acme/users", json!({"id": "bob"})).await;
    broker.tenant("other", "carol").await;
    let mut revoked = Vec::new();
    for (tenant, user) in [(TENANT, "alice"), (TENANT, "bob"), ("other", "carol")] {
        revoked.push(Raw::enrol(&broker, tenant, user).await);
    }
    let bystander = Raw::enrol(&broker, TENANT, "alice").await;
    broker.revoke(TENANT, "device", Some(&revoked[0].id().to_string())).await;
    broker.revoke(TENANT, "user", Some("bob")).await;
    broker.revoke("other", "tenant", None).await;
    for statement in [
        "UPDATE devices SET state = 'active'",
        "UPDATE users SET state = 'active'",
        "UPDATE tenants SET state = 'active'",
    ] {
        broker.sql(statement).await;
    }
    for restarted in [false, true] {
        for device in &revoked {
            assert!(until(async || asks(device).await == 403).await, "{restarted}: {}", broker.log());
        }
        assert_eq!(asks(&bystander).await, 200);
        assert!(broker.log().contains("the log tells of a revocation that the database has not"));
        broker.kill();
        broker.run(&[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_altered_long_ago_takes_no_event() {
    let mut broker = Broker::start().await;
    broker.with_tenant().await;
    // Full tiles hold the hashes of the first 256 leaves: their texts are not looked at for an append.
    for number in 0..256 {
        broker.admin_ok("/acme/users", json!({"id": format!("user-{number}")})).await;
    }
    broker.kill();
    // Another event of the same log, whole: only the tree tells that it is not its place.
    broker.sql("CREATE TABLE kept AS SELECT * FROM leaves WHERE tenant = 'acme' AND leaf_index = 4").await;
    broker.sql("UPDATE kept SET leaf_index = 5").await;
    broker.sql("INSERT OR REPLACE INTO leaves SELECT * FROM kept").await;
    broker.run(&[]).await;
    let mut number = 0;
    let frozen = until(async || {
        number += 1;
        let (status, answer) = broker.admin("/acme/users", Some(json!({"id": format!("late-{number}")}))).await;
        status == 503 && answer["code"] == "log_frozen"
    });
    assert!(frozen.await, "{}", broker.log());
    assert!(broker.log().contains("the log was altered"));
    assert_eq!(broker.admin("", Some(json!({"id": "other", "name": "Other"}))).await.0, 201, "another tenant's log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_was_erased_gets_no_access_by_another_state() {
    let mut broker = Broker::start().await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    broker.sql("CREATE TABLE kept AS SELECT * FROM subjects WHERE id = 'alice'").await;
    broker.revoke(TENANT, "user", Some("alice")).await;
    let (status, erased) = broker.admin("/acme/users/alice/erase", Some(json!({"reason": "test"}))).await;
    assert_eq!(status, 201, "{erased}");
    broker.kill();
    broker.sql("UPDATE users SET state = 'active'").await;
    broker.run(&[]).await;
    let refused = device.send_wrap(&device.wrap("identity", 1, b"key")).await;
    assert_eq!((refused.status, refused.code()), (403, "user_inactive".into()));
    // A key that is none is told from one that is gone.
    broker.sql("INSERT INTO subjects SELECT tenant, id, zeroblob(60) FROM kept").await;
    assert_ne!(device.send_wrap(&device.wrap("identity", 1, b"key")).await.status, 201);
}
