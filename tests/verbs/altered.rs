//! What whoever writes the database cannot do: rows count only as the broker wrote them.

use crate::harness::{Broker, Raw, TENANT};
use protocol::jws::DeviceKey;
use serde_json::{Value, json};

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
