//! The system clock jumps: what has expired or was spent stays so, and the log says that the clock went back.

use crate::harness::faketime::{FakeClock, Stopwatch};
use crate::harness::{Broker, Raw, TENANT, outcomes};
use protocol::jws::DeviceKey;
use protocol::sealing::OpeningKey;
use protocol::{encoding::Base64Url, messages::RestoreOpened};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A broker whose wall clock is off by what a file says, and whose stopwatch is not.
struct Shifted {
    broker: Broker,
    clock: FakeClock,
}

impl Shifted {
    async fn start(shift: &str) -> Self {
        let broker = Broker::prepared(|config| config);
        let clock = FakeClock::new(&broker, Stopwatch::Steady, shift);
        let mut shifted = Self { broker, clock };
        shifted.run(shift).await;
        shifted
    }

    /// Runs the broker from this shift on.
    async fn run(&mut self, shift: &str) {
        self.clock.set(shift);
        self.clock.run(&mut self.broker).await;
    }
}

/// A signed request to open a restore: sent twice, it would open two.
async fn ask(device: &Raw) -> (String, Vec<u8>) {
    let receive_key = Base64Url(OpeningKey::generate().public().clone());
    let ask = json!({"kinds": ["identity"], "receive_key": receive_key, "reason": "test"});
    let path = device.path("/restores");
    let body = device.sign(&path, &device.nonce().await, &serde_json::to_vec(&ask).unwrap());
    (path, body)
}

async fn is_refused(device: &Raw, (path, body): &(String, Vec<u8>)) {
    let answer = device.send(path, body.clone()).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_nonce"), "{answer:?}");
}

/// Backs up, restores and acknowledges as on any other day.
async fn works(device: &Raw, generation: u64) {
    device.backup("identity", generation, b"any day").await;
    let (opened, _) = device.open("identity").await;
    assert_eq!(device.release(&opened).await.status, 200);
    assert_eq!(device.acknowledge(&opened).await.status, 204);
}

async fn went_back(broker: &Broker, vkey: &str) -> usize {
    let is_step = |event: &&Value| event["evt"] == "log.heartbeat" && event["out"] == "clock_went_back";
    broker.verified_log(TENANT, vkey).iter().filter(is_step).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_brings_nothing_back() {
    let shifted = Shifted::start("+0").await;
    let vkey = shifted.broker.with_tenant().await;
    let device = Raw::enrol(&shifted.broker, TENANT, "alice").await;
    works(&device, 1).await;
    let (spent, unspent) = (ask(&device).await, ask(&device).await);
    assert_eq!(device.send(&spent.0, spent.1.clone()).await.status, 201);

    shifted.clock.set("+6m");
    is_refused(&device, &unspent).await;
    works(&device, 2).await;
    shifted.clock.set("-2h");
    is_refused(&device, &spent).await;
    is_refused(&device, &unspent).await;
    works(&device, 3).await;

    let deadline = Instant::now() + Duration::from_secs(30);
    while went_back(&shifted.broker, &vkey).await == 0 {
        assert!(Instant::now() < deadline, "the log does not say that the clock went back");
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(22)).await;
    assert_eq!(went_back(&shifted.broker, &vkey).await, 1, "one step is one event");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_on_although_the_clock_went_back() {
    let shifted = Shifted::start("+2h").await;
    shifted.broker.with_tenant().await;
    let device = Raw::enrol(&shifted.broker, TENANT, "alice").await;
    works(&device, 1).await;
    shifted.clock.set("+0");
    let expires_at = |opened: &RestoreOpened| opened.expires_at;
    let (first, _) = device.open("identity").await;
    sleep(Duration::from_secs(3)).await;
    let (second, _) = device.open("identity").await;
    assert!(expires_at(&second) >= expires_at(&first) + 2, "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_an_earlier_clock_forgets_no_nonce() {
    let mut shifted = Shifted::start("+0").await;
    let vkey = shifted.broker.with_tenant().await;
    let device = Raw::enrol(&shifted.broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any day").await;
    let spent = ask(&device).await;
    assert_eq!(device.send(&spent.0, spent.1.clone()).await.status, 201);
    // The nonce runs out, sweeps pass, and nothing happens that would leave the time in the log.
    shifted.clock.set("+6m");
    sleep(Duration::from_secs(12)).await;
    shifted.broker.kill();

    shifted.run("+0").await;
    is_refused(&device, &spent).await;
    works(&device, 2).await;
    shifted.broker.stop();
    shifted.run("-2h").await;
    is_refused(&device, &spent).await;
    works(&device, 3).await;
    sleep(Duration::from_secs(12)).await;
    assert_eq!(went_back(&shifted.broker, &vkey).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_ends_what_has_expired_and_nothing_else() {
    let shifted = Shifted::start("+0").await;
    let vkey = shifted.broker.with_tenant().await;
    let device = Raw::enrol(&shifted.broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any day").await;
    let (never_released, _) = device.open("identity").await;
    let (not_acknowledged, _) = device.open("identity").await;
    assert_eq!(device.release(&not_acknowledged).await.status, 200);
    let (code, late) = (shifted.broker.code(TENANT, "alice").await, ask(&device).await);

    shifted.clock.set("+61m");
    is_refused(&device, &late).await;
    assert_eq!(device.release(&never_released).await.code(), "restore_over");
    assert_eq!(device.release(&not_acknowledged).await.code(), "restore_over");
    let enrolled = Raw::try_enrol(&shifted.broker, TENANT, &code, &DeviceKey::generate_p256()).await;
    assert_eq!(enrolled.code(), "enrolment_code_invalid");
    works(&device, 2).await;
    sleep(Duration::from_secs(12)).await;
    let log = shifted.broker.verified_log(TENANT, &vkey);
    let mut expired = outcomes(&log, "restore.expired");
    expired.sort();
    assert_eq!(expired, ["not_acknowledged", "ok"]);
}
