//! A backup is kept once, under the newest generation, and only with a secret that was sealed for exactly this record.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use audit::note::Verifier;
use audit::receipt::Receipt;
use protocol::encoding::{Base64Url, to_base64url};
use protocol::messages::{Wrap, Wrapped};
use protocol::record::{MAX_BUNDLE, MAX_MATERIAL};
use protocol::sealing::{OpeningKey, SEALED_LEN};
use secret::Secret;
use serde_json::{Value, json};

async fn prepared() -> (Broker, String, Raw) {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    (broker, vkey, device)
}

/// Sends the wrap with one member replaced.
async fn send_with(device: &Raw, wrap: &Wrap, member: &str, value: Value) -> (u16, String) {
    let mut payload = serde_json::to_value(wrap).unwrap();
    payload[member] = value;
    let answer = device.post(&device.path("/records"), &payload).await;
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_sent_again_is_kept_once_and_proven_twice() {
    let (broker, vkey, device) = prepared().await;
    let wrap = device.wrap("identity", 1, b"key");
    let answers = [device.send_wrap(&wrap).await, device.send_wrap(&wrap).await];
    let verifier = Verifier::parse(&vkey).unwrap();
    let leaves: Vec<_> = answers.iter().map(|answer| answer.json::<Wrapped>()).collect();
    for wrapped in &leaves {
        let receipt = Receipt::parse(&wrapped.receipt).unwrap();
        receipt.verify(wrapped.leaf.as_bytes(), std::slice::from_ref(&verifier)).unwrap();
        assert_eq!((wrapped.record, wrapped.generation), (wrap.record, 1));
    }
    assert_eq!(leaves[0].leaf, leaves[1].leaf);
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "record.wrapped"), ["ok"]);

    let mut another = device.wrap("identity", 1, b"another key");
    another.record = wrap.record;
    let taken = device.send_wrap(&another).await;
    assert_eq!((taken.status, taken.code()), (400, "sealed_invalid".into()), "another secret under the same record");
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_grow_by_one_each_also_when_two_devices_race() {
    let (broker, vkey, device) = prepared().await;
    device.backup("identity", 1, b"key").await;
    for generation in [0, 1, 3, 1_000] {
        let refused = device.send_wrap(&device.wrap("identity", generation, b"key")).await;
        assert_eq!((refused.status, refused.code()), (409, "stale_generation".into()), "{generation}");
    }
    let refused = device.send_wrap(&device.wrap("identity", u64::MAX, b"key")).await;
    assert_eq!((refused.status, refused.code()), (400, "malformed".into()));

    let other = Raw::enrol(&broker, TENANT, "alice").await;
    let (ours, theirs) = (device.wrap("identity", 2, b"ours"), other.wrap("identity", 2, b"theirs"));
    let (ours, theirs) = tokio::join!(device.send_wrap(&ours), other.send_wrap(&theirs));
    let mut statuses = [ours.status, theirs.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "wrap.denied"), ["stale_generation"; 5]);
    let denied = log.iter().find(|event| event["evt"] == "wrap.denied").unwrap();
    assert_eq!(denied["exposure"], "plaintext_in_broker", "it was opened before the gate refused");
    assert_eq!(outcomes(&log, "record.wrapped"), ["ok"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_at_most_its_64_kib() {
    let (broker, vkey, device) = prepared().await;
    let wrap = device.wrap("identity", 1, b"key");
    for length in [0, MAX_BUNDLE + 1, MAX_BUNDLE + 4_096] {
        let refused = send_with(&device, &wrap, "bundle", to_base64url(&vec![7; length]).into()).await;
        assert_eq!(refused, (400, "malformed".into()), "{length}");
    }
    let largest = device.wrap("identity", 1, &vec![7; MAX_MATERIAL]);
    assert_eq!(largest.bundle.0.as_ref().len(), MAX_BUNDLE);
    assert_eq!(device.send_wrap(&largest).await.status, 201);
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "record.wrapped"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_value_is_for_one_record_of_one_device() {
    let (broker, vkey, device) = prepared().await;
    let wrap = device.wrap("identity", 1, b"key");
    for length in [0, 32, SEALED_LEN - 1, SEALED_LEN + 1] {
        let refused = send_with(&device, &wrap, "sealed", to_base64url(&vec![7; length]).into()).await;
        assert_eq!(refused, (400, "malformed".into()), "{length}");
    }
    let other = Raw::enrol(&broker, TENANT, "alice").await;
    let sealed = |wrap: &Wrap| serde_json::to_value(&wrap.sealed).unwrap();
    let mut flipped = wrap.sealed.0.as_ref().to_vec();
    flipped[SEALED_LEN - 1] ^= 1;
    let to_nobody = OpeningKey::generate();
    let mut elsewhere = Raw::enrol(&broker, TENANT, "alice").await;
    elsewhere.enrolled.ingress.key = Base64Url(to_nobody.public().clone());
    let foreign = [
        sealed(&device.wrap("identity", 1, b"key")),
        sealed(&other.wrap("identity", 1, b"key")),
        sealed(&elsewhere.wrap("identity", 1, b"key")),
        to_base64url(&flipped).into(),
        to_base64url(&[0; SEALED_LEN]).into(),
    ];
    for value in foreign {
        assert_eq!(send_with(&device, &wrap, "sealed", value).await, (400, "sealed_invalid".into()));
    }
    for (member, value) in [("kind", json!("archive")), ("record", json!(uuid::Uuid::new_v4()))] {
        assert_eq!(send_with(&device, &wrap, member, value).await, (400, "sealed_invalid".into()), "{member}");
    }
    assert_eq!(device.send_wrap(&wrap).await.status, 201, "nothing was lost");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "wrap.denied"), ["sealed_invalid"; 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_id_belongs_to_whoever_used_it_first() {
    let (broker, vkey, device) = prepared().await;
    broker.admin_ok("/acme/users", json!({"id": "bob"})).await;
    let bob = Raw::enrol(&broker, TENANT, "bob").await;
    let first = device.backup("identity", 1, b"key").await;
    let mut stolen = bob.wrap_as(first.record, "identity", 1, b"bob's");
    let refused = bob.send_wrap(&stolen).await;
    assert_eq!((refused.status, refused.code()), (409, "record_taken".into()));
    stolen.commitment = first.commitment;
    assert_eq!(bob.send_wrap(&stolen).await.code(), "record_taken");
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "wrap.denied"), ["record_taken"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_a_kek_keeps_nothing() {
    let broker = Broker::start().await;
    broker.admin_ok("", json!({"id": "bare", "name": "bare"})).await;
    broker.admin_ok("/bare/users", json!({"id": "alice"})).await;
    let device = Raw::enrol(&broker, "bare", "alice").await;
    let refused = device.send_wrap(&device.wrap("identity", 1, b"key")).await;
    assert_eq!((refused.status, refused.code()), (409, "kek_missing".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_key_lasts_thirty_days_and_a_day_of_grace() {
    let mut broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let raw = Raw::enrol(&broker, TENANT, "alice").await;
    let mut sdk = broker.enrol(TENANT, "alice").await;
    assert_eq!(
        send_with(&raw, &raw.wrap("identity", 1, b"key"), "ingress", "unknown".into()).await,
        (409, "stale_ingress".into())
    );
    broker.stop();
    broker.sql("UPDATE broker_keys SET created_at = created_at - 2678400000 WHERE purpose = 'ingress'").await;
    broker.run(&[]).await;
    ingress_keys(&broker, "2").await;
    raw.backup("identity", 1, b"sealed to the old key, in its day of grace").await;

    broker.stop();
    broker.sql("UPDATE broker_keys SET created_at = created_at - 86500000 WHERE purpose = 'ingress'").await;
    broker.run(&[]).await;
    let refused = raw.send_wrap(&raw.wrap("identity", 2, b"key")).await;
    assert_eq!((refused.status, refused.code()), (409, "stale_ingress".into()));
    let done = sdk.backup(&"identity".parse().unwrap(), &Secret::copied_from(b"key"), None).await.unwrap();
    assert_eq!(done.generation, 2, "the SDK fetches the new key and seals again");
    ingress_keys(&broker, "1").await;
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "record.wrapped"), ["ok"; 2]);
    assert!(
        outcomes(&log, "wrap.denied").iter().all(|outcome| outcome == "stale_ingress" || outcome == "stale_generation")
    );
}

/// Waits for the sweep that leaves so many ingress keys.
async fn ingress_keys(broker: &Broker, wanted: &str) {
    for _ in 0..150 {
        let keys = broker.sql("SELECT CAST(COUNT(*) AS TEXT) FROM broker_keys WHERE purpose = 'ingress'").await;
        if keys.as_deref() == Some(wanted) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("never {wanted} ingress keys: {}", broker.log());
}
