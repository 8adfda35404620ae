//! Two KEKs at two providers: what each pair survives, and what it refuses.

use crate::harness::bao::{BAO_TOKEN, Bao};
use crate::harness::{Broker, Raw, TENANT, outcomes};
use crate::keks::{kek, step};
use reqwest::Method;
use serde_json::{Value, json};

/// A tenant with one KEK in the software keystore and another in OpenBao.
struct Scene {
    bao: Option<Bao>,
    broker: Broker,
    vkey: String,
    near: String,
    far: String,
    device: Raw,
}

impl Scene {
    async fn start() -> Self {
        let bao = Bao::start().await;
        bao.call(Method::POST, "transit/keys/far", json!({})).await.unwrap();
        let mut broker = Broker::prepared(|config| config + &Bao::provider(bao.port));
        broker.run(&["env", &format!("BAO={BAO_TOKEN}")]).await;
        let vkey = broker.with_tenant().await;
        let near = kek(&broker, TENANT).await;
        let far = broker.admin_ok(&format!("/{TENANT}/keks"), json!({"provider": "bao", "key": "far"})).await;
        let far = far["id"].as_str().unwrap().into();
        let device = Raw::enrol(&broker, TENANT, "alice").await;
        Self { bao: Some(bao), broker, vkey, near, far, device }
    }

    async fn protect(&self, protection: Value) {
        self.broker.admin_ok(&format!("/{TENANT}/protection"), protection).await;
    }

    /// The release of the newest record of a kind: its status, and its code where it is refused.
    async fn restore(&self, kind: &str) -> (u16, String) {
        let (opened, _) = self.device.open(kind).await;
        let answer = self.device.release(&opened).await;
        (answer.status, answer.code())
    }

    /// The KEKs that the newest release names.
    fn released_by(&self) -> String {
        let log = self.broker.verified_log(TENANT, &self.vkey);
        let released = log.iter().rfind(|event| event["evt"] == "restore.released").unwrap();
        released["kek"]["id"].as_str().unwrap().into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_serves_in_an_outage_and_not_against_an_order_or_an_attack() {
    let mut scene = Scene::start().await;
    scene.protect(json!({"kek": scene.far, "standby_kek": scene.near})).await;
    for kind in ["altered", "identity"] {
        scene.device.backup(kind, 1, b"any key").await;
    }
    assert_eq!(scene.restore("identity").await.0, 200);
    assert_eq!(scene.released_by(), scene.far, "the first opens while it can");

    step(&scene.broker, &scene.far, "disable").await;
    assert_eq!(scene.restore("identity").await, (403, "kek_inactive".into()), "an order is not an outage");
    step(&scene.broker, &scene.far, "enable").await;
    scene
        .broker
        .sql(
            "UPDATE wraps SET wrapped = (SELECT o.wrapped FROM wraps o JOIN records r ON r.id = o.record
                                         WHERE r.kind = 'identity' AND o.slot = 'whole')
             WHERE slot = 'whole' AND record = (SELECT id FROM records WHERE kind = 'altered')",
        )
        .await;
    assert_eq!(scene.restore("altered").await, (409, "kek_mismatch".into()), "an altered wrap must be seen");

    step(&scene.broker, &scene.near, "disable").await;
    assert_eq!(scene.restore("identity").await.0, 200, "a standby is not needed");
    drop(scene.bao.take());
    assert_eq!(
        scene.restore("identity").await,
        (503, "provider_unavailable".into()),
        "a disabled standby opens nothing"
    );
    step(&scene.broker, &scene.near, "enable").await;
    assert_eq!(scene.restore("identity").await.0, 200);
    assert_eq!(scene.released_by(), scene.near);
    let log = scene.broker.verified_log(TENANT, &scene.vkey);
    assert_eq!(outcomes(&log, "finding.raised"), ["wrapped_mismatch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_are_both_needed_neither_opens_alone() {
    let mut scene = Scene::start().await;
    scene.protect(json!({"kek": scene.near, "second_kek": scene.far})).await;
    for kind in ["alone", "identity"] {
        scene.device.backup(kind, 1, b"any key").await;
    }
    assert_eq!(scene.restore("identity").await.0, 200);
    assert_eq!(scene.released_by(), format!("{} {}", scene.near, scene.far));
    for kek in [&scene.near, &scene.far] {
        step(&scene.broker, kek, "disable").await;
        assert_eq!(scene.restore("identity").await, (403, "kek_inactive".into()));
        step(&scene.broker, kek, "enable").await;
    }

    // Whoever writes the database has one share taken for the whole: it is not the secret.
    scene
        .broker
        .sql("DELETE FROM wraps WHERE slot = 'second' AND record = (SELECT id FROM records WHERE kind = 'alone')")
        .await;
    assert_eq!(scene.restore("alone").await, (409, "kek_not_found".into()));
    scene
        .broker
        .sql("UPDATE wraps SET slot = 'whole' WHERE record = (SELECT id FROM records WHERE kind = 'alone')")
        .await;
    let (opened, receive) = scene.device.open("alone").await;
    let answer = scene.device.release(&opened).await;
    let released: protocol::messages::Released = answer.json();
    assert!(!opens(&scene.device, &released.records[0], (&opened, &receive)), "a share derives no key");
    let (opened, receive) = scene.device.open("identity").await;
    let released: protocol::messages::Released = scene.device.release(&opened).await.json();
    assert!(opens(&scene.device, &released.records[0], (&opened, &receive)));

    drop(scene.bao.take());
    assert_eq!(scene.restore("identity").await, (503, "provider_unavailable".into()));
}

/// Whether what was released is the secret that the record's commitment names.
fn opens(
    device: &Raw,
    record: &protocol::messages::ReleasedRecord,
    (opened, receive): (&protocol::messages::RestoreOpened, &protocol::sealing::OpeningKey),
) -> bool {
    use protocol::record::{KeySchedule, RecordName, WrappingSecret};
    let name = RecordName {
        tenant: device.enrolled.tenant.clone(),
        user: device.enrolled.user.clone(),
        kind: record.kind.clone(),
        generation: record.generation,
        record: record.record,
        device: record.device,
        suite: record.suite,
    };
    let context = name.context();
    let info = protocol::sealing::Info::release(&context, &opened.transcript.0);
    let payload = receive.open(&info, &record.sealed.0).unwrap();
    let secret = WrappingSecret::from_payload(payload, &context).unwrap();
    *KeySchedule::new(&secret, None, &context).commitment() == record.commitment.0
}
