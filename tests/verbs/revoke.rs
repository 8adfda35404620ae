//! Revocation is strict and for good: when it has answered, nothing of its target is released any more.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use protocol::messages::RestoreOpened;
use protocol::sealing::OpeningKey;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;
use uuid::Uuid;

const CLIENTS: usize = 16;

/// The only KEK of a tenant.
async fn kek(broker: &Broker, tenant: &str) -> String {
    let (_, keks) = broker.admin(&format!("/{tenant}/keks"), None).await;
    keks["items"][0]["id"].as_str().unwrap().into()
}

/// A tenant of this name with a device of alice's that has one record.
async fn device_of(broker: &Broker, tenant: &str) -> (String, Raw) {
    let vkey = broker.tenant(tenant, "alice").await;
    let device = Raw::enrol(broker, tenant, "alice").await;
    device.backup("identity", 1, b"the key").await;
    (vkey, device)
}

/// What a test takes away; a device, a user and so on of the given restore.
async fn take_away(broker: &Broker, device: &Raw, kind: &str, opened: &RestoreOpened) -> Value {
    let tenant = device.enrolled.tenant.as_str();
    let id = match kind {
        "device" => Some(device.id().to_string()),
        "user" => Some("alice".into()),
        "tenant" => None,
        "restore" => Some(opened.restore.to_string()),
        "kek" => Some(kek(broker, tenant).await),
        other => panic!("{other} cannot be revoked"),
    };
    broker.revoke(tenant, kind, id.as_deref()).await
}

/// What can be revoked, the answer to a later release, the event, and the restores that end with it.
const TARGETS: [(&str, u16, &str, &str, u64); 5] = [
    ("device", 403, "device_inactive", "device.revoked", 2),
    ("user", 403, "user_inactive", "user.revoked", 2),
    ("tenant", 403, "tenant_inactive", "tenant.revoked", 2),
    ("restore", 410, "restore_over", "restore.revoked", 1),
    ("kek", 410, "restore_over", "kek.revoked", 2),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_released_is_not_fetched_again_after_a_revocation() {
    let broker = Broker::start().await;
    for (kind, status, code, event, ended) in TARGETS {
        let (vkey, device) = device_of(&broker, kind).await;
        let ((released, _), (open, _)) = (device.open("identity").await, device.open("identity").await);
        assert_eq!(device.release(&released).await.status, 200);
        let done = take_away(&broker, &device, kind, &released).await;
        assert_eq!(done["restores_ended"], ended, "{kind}");
        assert!(done["effective_at"].is_i64());

        let unwraps = broker.unwraps().await;
        let refused = device.release(&released).await;
        assert_eq!((refused.status, refused.code()), (status, code.into()), "{kind}");
        assert_eq!(broker.unwraps().await, unwraps, "{kind}");
        let other = device.release(&open).await;
        if kind == "restore" {
            assert_eq!(other.status, 200, "another restore goes on");
        } else {
            assert_eq!((other.status, other.code()), (status, code.into()), "{kind}");
            assert_eq!(broker.unwraps().await, unwraps, "{kind}");
        }
        let log = broker.verified_log(kind, &vkey);
        assert_eq!(outcomes(&log, event), ["ok"], "{kind}");
        assert_eq!(outcomes(&log, "restore.fetched"), [""; 0], "{kind}");
        assert!(outcomes(&log, "restore.denied").contains(&code.to_owned()), "{kind}");
    }
    let kept = "SELECT CAST(COUNT(*) AS TEXT) FROM restores WHERE answer IS NOT NULL AND state = 'revoked'";
    assert_eq!(broker.sql(kept).await.unwrap(), "0", "a revoked restore's answer is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_kek_wraps_nothing_and_another_takes_its_place_for_what_is_new() {
    let broker = Broker::start().await;
    let (vkey, device) = device_of(&broker, TENANT).await;
    broker.revoke(TENANT, "kek", Some(&kek(&broker, TENANT).await)).await;
    let wrap = device.wrap("archive", 1, b"new");
    let refused = device.send_wrap(&wrap).await;
    assert_eq!((refused.status, refused.code()), (403, "kek_inactive".into()));
    broker.keystore(&["add", "second"]);
    let second = broker.admin_ok(&format!("/{TENANT}/keks"), json!({"provider": "software", "key": "second"})).await;
    assert_eq!(device.send_wrap(&wrap).await.code(), "kek_inactive", "nothing takes a KEK's place by itself");
    broker.admin_ok(&format!("/{TENANT}/protection"), json!({"kek": second["id"]})).await;
    assert_eq!(device.send_wrap(&wrap).await.status, 201);
    let (old, new) = (device.open("identity").await.0, device.open("archive").await.0);
    assert_eq!(device.release(&old).await.code(), "kek_inactive");
    assert_eq!(device.release(&new).await.status, 200);
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "wrap.denied"), ["kek_inactive"; 2]);
    assert_eq!(outcomes(&log, "restore.denied"), ["kek_inactive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_does_nothing_and_its_key_does_not_come_back() {
    let broker = Broker::start().await;
    let (vkey, device) = device_of(&broker, TENANT).await;
    broker.revoke(TENANT, "device", Some(&device.id().to_string())).await;
    let receive = OpeningKey::generate();
    let own = device.path(&format!("/devices/{}", device.id()));
    for answer in [
        device.send_wrap(&device.wrap("identity", 2, b"key")).await,
        device.ask(json!({"kinds": ["identity"]}), receive.public()).await,
        device.post(&own, &Value::Null).await,
        device.post(&format!("{own}/records"), &Value::Null).await,
    ] {
        assert_eq!((answer.status, answer.code()), (403, "device_inactive".into()));
    }
    let again = Raw::try_enrol(&broker, TENANT, &broker.code(TENANT, "alice").await, &device.key).await;
    assert_eq!((again.status, again.code()), (409, "device_known".into()));
    broker.revoke(TENANT, "device", Some(&device.id().to_string())).await;
    assert_eq!(device.post(&own, &Value::Null).await.code(), "device_inactive", "revoking twice lifts nothing");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "wrap.denied"), ["device_inactive"]);
    assert_eq!(outcomes(&log, "restore.denied"), ["device_inactive"]);
    assert_eq!(outcomes(&log, "enrol.denied"), ["device_known"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_user_gets_no_device_and_a_revoked_tenant_nothing() {
    let broker = Broker::start().await;
    let (vkey, device) = device_of(&broker, TENANT).await;
    let waiting = broker.code(TENANT, "alice").await;
    broker.revoke(TENANT, "user", Some("alice")).await;
    let refused = Raw::try_enrol(&broker, TENANT, &waiting, &protocol::jws::DeviceKey::generate_p256()).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let codes = format!("/{TENANT}/enrolment-codes");
    let (status, problem) = broker.admin(&codes, Some(json!({"user": "alice"}))).await;
    assert_eq!((status, &problem["code"]), (403, &"user_inactive".into()));
    let (status, problem) = broker.admin(&format!("/{TENANT}/users"), Some(json!({"id": "alice"}))).await;
    assert_eq!((status, &problem["code"]), (409, &"taken".into()), "the user is not made anew");
    assert_eq!(device.send_wrap(&device.wrap("identity", 2, b"key")).await.code(), "user_inactive");

    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "bob"})).await;
    let bob = Raw::enrol(&broker, TENANT, "bob").await;
    let waiting = broker.code(TENANT, "bob").await;
    broker.revoke(TENANT, "tenant", None).await;
    assert_eq!(bob.send_wrap(&bob.wrap("identity", 1, b"key")).await.code(), "tenant_inactive");
    let late = Raw::try_enrol(&broker, TENANT, &waiting, &protocol::jws::DeviceKey::generate_p256()).await;
    assert_eq!(late.status, 403, "{late:?}");
    for (path, body) in [("users", json!({"id": "carol"})), ("keks", json!({"provider": "software", "key": TENANT}))] {
        let (status, problem) = broker.admin(&format!("/{TENANT}/{path}"), Some(body)).await;
        assert_eq!((status, &problem["code"]), (403, &"tenant_inactive".into()), "{path}");
    }
    let (status, problem) = broker.admin("", Some(json!({"id": TENANT, "name": TENANT}))).await;
    assert_eq!((status, &problem["code"]), (409, &"taken".into()), "the tenant is not made anew");
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "device.enrolled"), ["ok", "ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_cannot_be_revoked() {
    let broker = Broker::start().await;
    let (_, device) = device_of(&broker, TENANT).await;
    broker.tenant("other", "mallory").await;
    let (foreign_device, foreign_kek) = (Raw::enrol(&broker, "other", "mallory").await, kek(&broker, "other").await);
    let targets = [
        json!({"kind": "user", "id": "nobody"}),
        json!({"kind": "user", "id": "mallory"}),
        json!({"kind": "device", "id": Uuid::new_v4()}),
        json!({"kind": "device", "id": foreign_device.id()}),
        json!({"kind": "restore", "id": Uuid::new_v4()}),
        json!({"kind": "kek", "id": Uuid::new_v4()}),
        json!({"kind": "kek", "id": foreign_kek}),
    ];
    for target in targets {
        let ask = json!({"target": target, "reason": "test"});
        let (status, problem) = broker.admin(&format!("/{TENANT}/revocations"), Some(ask)).await;
        assert_eq!((status, &problem["code"]), (404, &"unknown".into()), "{target}");
    }
    for (bad, reason) in [
        (json!({"kind": "planet", "id": "x"}), "test"),
        (json!({"kind": "device", "id": "' OR 1=1 --"}), "test"),
        (json!({"kind": "device"}), "test"),
        (json!({"kind": "user", "id": "alice"}), ""),
    ] {
        let ask = json!({"target": bad, "reason": reason});
        let (status, problem) = broker.admin(&format!("/{TENANT}/revocations"), Some(ask)).await;
        assert_eq!((status, &problem["code"]), (400, &"malformed".into()), "{bad}");
    }
    device.backup("identity", 2, b"nothing was lost").await;
    foreign_device.backup("identity", 1, b"nothing was lost").await;
}

/// Opens and releases restores until a whole round began after the revocation's answer. Gives how many releases succeeded,
/// and how many of them began after that answer.
async fn restore_in_a_loop(device: Arc<Raw>, receive: Arc<OpeningKey>, revoked: Arc<AtomicBool>) -> (u32, u32) {
    let (mut released, mut late) = (0, 0);
    loop {
        let already = revoked.load(Ordering::SeqCst);
        let opened = device.ask(json!({"kinds": ["identity"]}), receive.public()).await;
        if opened.status == 201 {
            let opened: RestoreOpened = opened.json();
            let began_late = revoked.load(Ordering::SeqCst);
            let answer = device.release(&opened).await;
            released += u32::from(answer.status == 200);
            late += u32::from(answer.status == 200 && began_late);
        }
        if already {
            return (released, late);
        }
    }
}

/// One round: 16 clients restore, the target is revoked in the middle. Gives how many releases there were before.
async fn race(broker: &Broker, kind: &str, round: usize) -> u32 {
    let tenant = format!("{kind}-{round}");
    let (vkey, device) = device_of(broker, &tenant).await;
    let (device, receive, revoked) =
        (Arc::new(device), Arc::new(OpeningKey::generate()), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(restore_in_a_loop(device.clone(), receive.clone(), revoked.clone()));
    }
    tokio::time::sleep(std::time::Duration::from_millis(150 + 20 * round as u64)).await;
    let (opened, _) = device.open("identity").await;
    take_away(broker, &device, kind, &opened).await;
    revoked.store(true, Ordering::SeqCst);
    let counts = clients.join_all().await;
    assert_eq!(counts.iter().map(|(_, late)| late).sum::<u32>(), 0, "{kind}: released after the revocation's answer");

    let log = broker.verified_log(&tenant, &vkey);
    let place = |event: &Value| event["index"].as_u64().unwrap();
    let event = TARGETS.iter().find(|target| target.0 == kind).unwrap().3;
    let revocation = place(log.iter().find(|entry| entry["evt"] == event).unwrap());
    let moved = |entry: &&Value| entry["evt"] == "restore.released" || entry["evt"] == "restore.fetched";
    let after: Vec<_> = log.iter().filter(moved).filter(|entry| place(entry) > revocation).collect();
    assert!(after.is_empty(), "{kind}: {after:?} after index {revocation}");
    let answered: u32 = counts.iter().map(|(released, _)| released).sum();
    assert_eq!(answered as usize, outcomes(&log, "restore.released").len(), "each release has its leaf");
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_clients_in_a_loop_get_nothing_after_a_revocation() {
    let broker = Broker::start().await;
    let mut released = 0;
    for round in 0..5 {
        for kind in ["device", "user", "tenant", "kek"] {
            released += race(&broker, kind, round).await;
        }
    }
    assert!(released > 100, "only {released} releases were raced");
}
