//! The life of a KEK: registered, disabled, enabled.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use serde_json::{Value, json};
use uuid::Uuid;

/// The only KEK of a tenant.
pub(crate) async fn kek(broker: &Broker, tenant: &str) -> String {
    let (_, keks) = broker.admin(&format!("/{tenant}/keks"), None).await;
    keks["items"][0]["id"].as_str().unwrap().into()
}

/// A second KEK of [`TENANT`] in the software keystore; gives its id.
pub(crate) async fn further_kek(broker: &Broker, key: &str) -> String {
    broker.keystore(&["add", key]);
    let made = broker.admin_ok(&format!("/{TENANT}/keks"), json!({"provider": "software", "key": key})).await;
    made["id"].as_str().unwrap().into()
}

/// Status and code of what an administrator asks.
pub(crate) async fn told(broker: &Broker, path: &str, body: Value) -> (u16, String) {
    let (status, problem) = broker.admin(path, Some(body)).await;
    (status, problem["code"].as_str().unwrap_or_default().into())
}

pub(crate) async fn step(broker: &Broker, kek: &str, step: &str) -> (u16, Value) {
    broker.admin(&format!("/{TENANT}/keks/{kek}/{step}"), Some(json!({"reason": "test"}))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_kek_releases_and_wraps_nothing_until_it_is_enabled() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    let ((released, _), (open, _)) = (device.open("identity").await, device.open("identity").await);
    assert_eq!(device.release(&released).await.status, 200);
    let kek = kek(&broker, TENANT).await;

    let (status, done) = step(&broker, &kek, "disable").await;
    assert_eq!((status, &done["restores_ended"]), (201, &json!(2)), "{done}");
    let unwraps = broker.unwraps().await;
    for over in [&released, &open] {
        assert_eq!(device.release(over).await.code(), "restore_over");
    }
    let (fresh, _) = device.open("identity").await;
    assert_eq!(device.release(&fresh).await.code(), "kek_inactive");
    assert_eq!(device.send_wrap(&device.wrap("identity", 2, b"x")).await.code(), "kek_inactive");
    assert_eq!(broker.unwraps().await, unwraps, "the provider was not asked");
    let protect = json!({"kek": kek});
    assert_eq!(told(&broker, &format!("/{TENANT}/protection"), protect).await, (403, "kek_inactive".into()));
    assert_eq!(step(&broker, &kek, "disable").await.1["code"], "kek_inactive");

    let (status, enabled) = step(&broker, &kek, "enable").await;
    assert_eq!((status, &enabled["state"]), (201, &json!("active")));
    assert_eq!(device.release(&fresh).await.status, 200);
    device.backup("identity", 2, b"newer").await;
    assert_eq!(step(&broker, &kek, "enable").await.1["code"], "kek_not_disabled");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "kek.disabled"), ["ok"]);
    assert_eq!(outcomes(&log, "kek.enabled"), ["ok"]);
    assert_eq!(outcomes(&log, "admin.denied"), ["kek_inactive", "kek_inactive", "kek_not_disabled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_kek_cannot_be_enabled_and_a_foreign_one_not_touched() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.tenant("other", "bob").await;
    let (own, foreign) = (kek(&broker, TENANT).await, kek(&broker, "other").await);
    broker.revoke(TENANT, "kek", Some(&own)).await;
    assert_eq!(step(&broker, &own, "enable").await.1["code"], "kek_not_disabled");
    for unknown in [&foreign, &Uuid::new_v4().to_string(), "' OR 1=1 --"] {
        for verb in ["disable", "enable", "destructions"] {
            assert_eq!(step(&broker, unknown, verb).await.1["code"], "not_found", "{verb} {unknown}");
        }
    }
    let (_, keks) = broker.admin("/other/keks", None).await;
    assert_eq!(keks["items"][0]["state"], "active");
}
