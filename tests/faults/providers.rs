//! A customer's KMS is down, slow, throttling or talking nonsense: a real OpenBao behind a proxy that spoils answers.

use crate::harness::bao::{BAO_TOKEN, Bao};
use crate::harness::{Answer, Broker, Raw, outcomes};
use crate::proxy::{Fault, Proxy};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The tenant whose KEK is in OpenBao, under the same name.
const CLOUD: &str = "cloud";

/// A broker with the provider `bao`, behind the proxy.
struct Scene {
    bao: Bao,
    proxy: Proxy,
    broker: Broker,
}

impl Scene {
    async fn start(fault_at_start: Fault) -> Self {
        Self::start_with(fault_at_start, "concurrency = 16").await
    }

    /// With these of the provider's `calls`.
    async fn start_with(fault_at_start: Fault, calls: &str) -> Self {
        let bao = Bao::start().await;
        create_key(&bao, CLOUD).await;
        let proxy = Proxy::to(bao.port).await;
        proxy.fault(fault_at_start);
        let provider = Bao::provider(proxy.port).replace("concurrency = 16", calls);
        let broker = Broker::prepared(|config| config + &provider);
        let mut scene = Self { bao, proxy, broker };
        scene.run().await;
        scene
    }

    async fn run(&mut self) {
        self.broker.run(&["env", &format!("BAO={BAO_TOKEN}")]).await;
    }

    /// As [`Self::start`], with the tenant, its KEK, and a device with one record.
    async fn with_device() -> (Self, Raw, String) {
        Self::start(Fault::None).await.and_device().await
    }

    async fn and_device(self) -> (Self, Raw, String) {
        let scene = self;
        let vkey = scene.tenant().await;
        scene.broker.admin_ok("/cloud/keks", json!({"provider": "bao", "key": "cloud"})).await;
        let device = Raw::enrol(&scene.broker, CLOUD, "alice").await;
        device.backup("identity", 1, b"any key").await;
        scene.proxy.take_calls();
        (scene, device, vkey)
    }

    async fn tenant(&self) -> String {
        let made = self.broker.admin_ok("", json!({"id": CLOUD, "name": CLOUD, "unattested_days": 30})).await;
        self.broker.admin_ok("/cloud/users", json!({"id": "alice"})).await;
        made["vkey"].as_str().unwrap().into()
    }
}

async fn create_key(bao: &Bao, name: &str) {
    bao.call(Method::POST, &format!("transit/keys/{name}"), json!({})).await.unwrap();
}

async fn configure_key(bao: &Bao, config: Value) {
    bao.call(Method::POST, "transit/keys/cloud/config", config).await.unwrap();
}

async fn delete_key(bao: &Bao) {
    configure_key(bao, json!({"deletion_allowed": true})).await;
    bao.call(Method::DELETE, "transit/keys/cloud", Value::Null).await.unwrap();
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

/// Fault, status, code, and how often the provider is called.
const FAULTS: [(Fault, u16, &str, usize); 8] = [
    (Fault::Reset, 503, "provider_unavailable", 4),
    (Fault::Status(503, None), 503, "provider_unavailable", 4),
    (Fault::Status(500, None), 503, "provider_unavailable", 4),
    (Fault::Cut, 503, "provider_unavailable", 4),
    (Fault::Hang, 503, "provider_unavailable", 1),
    (Fault::Status(429, Some(1)), 503, "provider_throttled", 4),
    (Fault::Status(403, None), 502, "provider_refused", 1),
    (Fault::Garbage, 502, "provider_broken", 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_of_the_provider_is_told_recorded_and_survived() {
    let (scene, device, vkey) = Scene::with_device().await;
    for (fault, status, code, calls) in FAULTS {
        let (opened, _) = device.open("identity").await;
        // The key's calls alone: that the token is refused is for the room's own tests.
        scene.proxy.fault_at("/cloud", fault);
        let answer = device.release(&opened).await;
        assert_eq!(told(&answer), (status, code.into()), "{fault:?}");
        assert_eq!(scene.proxy.take_calls(), calls, "{fault:?}");
        if let Fault::Status(429, Some(seconds)) = fault {
            assert_eq!(answer.headers["retry-after"], seconds.to_string());
        }
        // What failed in passing is released later, by the same restore.
        scene.proxy.fault(Fault::None);
        assert_eq!(device.release(&opened).await.status, 200, "{fault:?}");
        assert_eq!(scene.proxy.take_calls(), 1);
        assert_eq!(device.acknowledge(&opened).await.status, 204);
    }
    let log = scene.broker.verified_log(CLOUD, &vkey);
    assert_eq!(outcomes(&log, "restore.failed"), FAULTS.map(|(_, _, code, _)| code));
    assert_eq!(outcomes(&log, "restore.intent").len(), 2 * FAULTS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_asks_for_more_time_than_there_is_is_left_alone_for_it() {
    let (scene, device, _) = Scene::with_device().await;
    let (opened, _) = device.open("identity").await;
    scene.proxy.fault(Fault::Status(429, Some(6)));
    let answer = device.release(&opened).await;
    assert_eq!(told(&answer), (503, "provider_throttled".into()));
    assert_eq!((&answer.headers["retry-after"], scene.proxy.take_calls()), (&"6".parse().unwrap(), 1));
    scene.proxy.fault(Fault::None);
    let answer = device.release(&opened).await;
    assert_eq!(told(&answer), (503, "provider_throttled".into()));
    assert_eq!(scene.proxy.take_calls(), 0, "it is not asked again before its time");
    let rest: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((5..=6).contains(&rest), "{rest}");
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(device.release(&opened).await.status, 200, "what is left fits into the deadline, so it is waited for");
    assert_eq!(scene.proxy.take_calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrap_that_fails_is_recorded_and_can_be_sent_again() {
    let (scene, device, vkey) = Scene::with_device().await;
    let wrap = device.wrap("identity", 2, b"newer");
    for (fault, status, code, calls) in [FAULTS[1], FAULTS[7]] {
        scene.proxy.fault(fault);
        assert_eq!(told(&device.send_wrap(&wrap).await), (status, code.into()));
        assert_eq!(scene.proxy.take_calls(), calls);
    }
    scene.proxy.fault(Fault::None);
    assert_eq!(device.send_wrap(&wrap).await.status, 201);
    let log = scene.broker.verified_log(CLOUD, &vkey);
    assert_eq!(outcomes(&log, "wrap.failed"), ["provider_unavailable", "provider_broken"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kek_that_is_disabled_deleted_or_replaced_releases_nothing() {
    let (scene, device, vkey) = Scene::with_device().await;
    let (opened, _) = device.open("identity").await;
    scene.bao.call(Method::POST, "transit/keys/cloud/rotate", json!({})).await.unwrap();
    configure_key(&scene.bao, json!({"min_decryption_version": 2})).await;
    assert_eq!(told(&device.release(&opened).await), (409, "kek_disabled".into()));
    configure_key(&scene.bao, json!({"min_decryption_version": 1})).await;
    assert_eq!(device.release(&opened).await.status, 200);

    let (opened, _) = device.open("identity").await;
    delete_key(&scene.bao).await;
    assert_eq!(told(&device.release(&opened).await), (409, "kek_not_found".into()));
    assert_eq!(told(&device.send_wrap(&device.wrap("other", 1, b"x")).await), (409, "kek_not_found".into()));
    create_key(&scene.bao, CLOUD).await;
    assert_eq!(told(&device.release(&opened).await), (409, "kek_mismatch".into()));
    assert_eq!(told(&device.release(&opened).await), (410, "restore_over".into()), "a mismatch is not tried again");

    let log = scene.broker.verified_log(CLOUD, &vkey);
    assert_eq!(outcomes(&log, "restore.failed"), ["kek_disabled", "kek_not_found", "kek_mismatch"]);
    assert_eq!(outcomes(&log, "wrap.failed"), ["kek_not_found"]);
    assert_eq!(outcomes(&log, "finding.raised"), ["wrapped_mismatch"]);
    assert_eq!(scene.proxy.take_calls(), 5, "none of these is retried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_wrapped_enough_wraps_again_when_it_is_rotated() {
    let scene = Scene::start_with(Fault::None, "concurrency = 16, wrap_budget = 5").await;
    let (mut scene, device, vkey) = scene.and_device().await;
    device.backup("identity", 2, b"newer").await;
    device.backup("identity", 3, b"newest").await;
    scene.broker.stop();
    scene.run().await;
    // Of the five, three are in the database; the one of the registration is not.
    device.backup("identity", 4, b"newer still").await;
    device.backup("identity", 5, b"newer yet").await;
    scene.proxy.take_calls();
    let wrap = device.wrap("identity", 6, b"too new");
    assert_eq!(told(&device.send_wrap(&wrap).await), (409, "kek_exhausted".into()));
    assert_eq!(scene.proxy.take_calls(), 1, "it was only looked at");
    assert!(scene.broker.log().contains("the wrap budget of a KEK nears its end"));
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200, "it still unwraps");
    scene.bao.call(Method::POST, "transit/keys/cloud/rotate", json!({})).await.unwrap();
    assert_eq!(device.send_wrap(&wrap).await.status, 201);
    assert_eq!(outcomes(&scene.broker.verified_log(CLOUD, &vkey), "wrap.failed"), ["kek_exhausted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_at_the_start_is_used_when_it_is_back() {
    let scene = Scene::start(Fault::Reset).await;
    scene.tenant().await;
    let kek = json!({"provider": "bao", "key": "cloud"});
    let (status, problem) = scene.broker.admin("/cloud/keks", Some(kek.clone())).await;
    assert_eq!((status, &problem["code"]), (503, &json!("provider_unavailable")));
    scene.proxy.fault(Fault::None);
    scene.broker.admin_ok("/cloud/keks", kek).await;
    let device = Raw::enrol(&scene.broker, CLOUD, "alice").await;
    device.backup("identity", 1, b"any key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_never_tried_again() {
    let scene = Scene::start(Fault::None).await;
    let vkey = scene.tenant().await;
    scene.proxy.take_calls();
    let import = json!({"provider": "bao", "key": "own", "material": "AAAA", "token": ""});
    // The others are tried once anyway.
    let passing = &FAULTS[..7];
    for (fault, status, code, _) in passing {
        scene.proxy.fault(*fault);
        let (told, problem) = scene.broker.admin("/cloud/keks/import", Some(import.clone())).await;
        assert_eq!((told, &problem["code"]), (*status, &json!(code)), "{fault:?}");
        assert_eq!(scene.proxy.take_calls(), 1, "{fault:?}");
    }
    let log = scene.broker.verified_log(CLOUD, &vkey);
    let codes: Vec<_> = passing.iter().map(|(_, _, code, _)| *code).collect();
    assert_eq!(outcomes(&log, "admin.denied"), codes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_provider_is_left_alone_after_five_failures_and_tried_again() {
    let (scene, device, _) = Scene::with_device().await;
    let (opened, _) = device.open("identity").await;
    scene.proxy.fault(Fault::Reset);
    for _ in 0..5 {
        assert_eq!(device.release(&opened).await.code(), "provider_unavailable");
    }
    assert_eq!(scene.proxy.take_calls(), 20);
    scene.proxy.fault(Fault::None);
    let answer = device.release(&opened).await;
    assert_eq!(told(&answer), (503, "provider_unavailable".into()));
    assert!((1..=5).contains(&answer.headers["retry-after"].to_str().unwrap().parse().unwrap()));
    assert_eq!(scene.proxy.take_calls(), 0, "the circuit is open");
    sleep(Duration::from_millis(5_100)).await;
    assert_eq!(device.release(&opened).await.status, 200);
    assert_eq!(scene.proxy.take_calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_provider_slows_no_other_tenant() {
    let (scene, hung, _) = Scene::with_device().await;
    scene.broker.tenant("local", "bob").await;
    let local = Raw::enrol(&scene.broker, "local", "bob").await;
    local.backup("identity", 1, b"any key").await;
    let usual = slowest_of_ten(&local).await;
    let opened = join_all((0..40).map(|_| hung.open("identity"))).await;
    scene.proxy.fault(Fault::Hang);
    let waiting = join_all(opened.iter().map(|(opened, _)| hung.release(opened)));
    let meanwhile = async {
        sleep(Duration::from_millis(500)).await;
        slowest_of_ten(&local).await
    };
    let (answers, slowest) = tokio::join!(waiting, meanwhile);
    assert!(answers.iter().all(|answer| answer.code() == "provider_unavailable"));
    eprintln!("slowest of ten releases: {usual:?} alone, {slowest:?} beside 40 that hang");
    assert!(slowest < usual * 4 + Duration::from_millis(500), "{slowest:?}, {usual:?} before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_hangs_slows_no_other_tenant_of_the_same_provider() {
    let (scene, hung, _) = Scene::with_device().await;
    create_key(&scene.bao, "other").await;
    scene.broker.tenant("other", "bob").await;
    scene.broker.admin_ok("/other/keks", json!({"provider": "bao", "key": "other"})).await;
    let other = Raw::enrol(&scene.broker, "other", "bob").await;
    other.backup("identity", 1, b"any key").await;
    let usual = slowest_of_ten(&other).await;
    let opened = join_all((0..40).map(|_| hung.open("identity"))).await;
    scene.proxy.fault_at("/cloud", Fault::Hang);
    let waiting = join_all(opened.iter().map(|(opened, _)| hung.release(opened)));
    let meanwhile = async {
        sleep(Duration::from_millis(500)).await;
        slowest_of_ten(&other).await
    };
    let (answers, slowest) = tokio::join!(waiting, meanwhile);
    assert!(answers.iter().all(|answer| answer.code() == "provider_unavailable"));
    eprintln!("slowest of ten releases: {usual:?} alone, {slowest:?} beside 40 under another key that hang");
    assert!(slowest < usual * 4 + Duration::from_millis(500), "{slowest:?}, {usual:?} before");
}

async fn slowest_of_ten(device: &Raw) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let (opened, _) = device.open("identity").await;
        let started = Instant::now();
        assert_eq!(device.release(&opened).await.status, 200);
        slowest = slowest.max(started.elapsed());
    }
    slowest
}
