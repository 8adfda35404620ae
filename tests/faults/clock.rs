//! The system clock jumps: what has expired or was spent stays so, and the log says that the clock went back.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use protocol::jws::DeviceKey;
use protocol::sealing::OpeningKey;
use protocol::{encoding::Base64Url, messages::RestoreOpened};
use serde_json::{Value, json};
use std::time::Duration;
use std::{env, fs};
use tokio::time::{Instant, sleep};

/// Debian's libfaketime; another one can be named in KEYFOLD_FAKETIME.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// A broker whose wall clock is off by what a file says, and whose stopwatch is not.
struct Shifted(Broker);

impl Shifted {
    async fn start(shift: &str) -> Self {
        let mut shifted = Self(Broker::prepared(|config| config));
        shifted.run(shift).await;
        shifted
    }

    /// Runs the broker from this shift on.
    async fn run(&mut self, shift: &str) {
        self.jump(shift);
        let library = env::var("KEYFOLD_FAKETIME").unwrap_or_else(|_| LIBRARY.into());
        assert!(fs::exists(&library).unwrap(), "{library} is missing: install faketime");
        let (preload, file) = (format!("LD_PRELOAD={library}"), format!("FAKETIME_TIMESTAMP_FILE={}", self.file()));
        let wrapper = ["env", &preload, &file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"];
        self.0.run(&wrapper).await;
    }

    /// The clock shows another time from now on.
    fn jump(&self, shift: &str) {
        let new = self.0.path("shift.new");
        fs::write(&new, shift).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    fn file(&self) -> String {
        self.0.path("shift").to_str().unwrap().into()
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
    let vkey = shifted.0.with_tenant().await;
    let device = Raw::enrol(&shifted.0, TENANT, "alice").await;
    works(&device, 1).await;
    let (spent, unspent) = (ask(&device).await, ask(&device).await);
    assert_eq!(device.send(&spent.0, spent.1.clone()).await.status, 201);

    shifted.jump("+6m");
    is_refused(&device, &unspent).await;
    works(&device, 2).await;
    shifted.jump("-2h");
    is_refused(&device, &spent).await;
    is_refused(&device, &unspent).await;
    works(&device, 3).await;

    let deadline = Instant::now() + Duration::from_secs(30);
    while went_back(&shifted.0, &vkey).await == 0 {
        assert!(Instant::now() < deadline, "the log does not say that the clock went back");
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(22)).await;
    assert_eq!(went_back(&shifted.0, &vkey).await, 1, "one step is one event");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_on_although_the_clock_went_back() {
    let broker = Shifted::start("+2h").await;
    broker.0.with_tenant().await;
    let device = Raw::enrol(&broker.0, TENANT, "alice").await;
    works(&device, 1).await;
    broker.jump("+0");
    let expires_at = |opened: &RestoreOpened| opened.expires_at;
    let (first, _) = device.open("identity").await;
    sleep(Duration::from_secs(3)).await;
    let (second, _) = device.open("identity").await;
    assert!(expires_at(&second) >= expires_at(&first) + 2, "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_an_earlier_clock_forgets_no_nonce() {
    let mut shifted = Shifted::start("+0").await;
    let vkey = shifted.0.with_tenant().await;
    let device = Raw::enrol(&shifted.0, TENANT, "alice").await;
    device.backup("identity", 1, b"any day").await;
    let spent = ask(&device).await;
    assert_eq!(device.send(&spent.0, spent.1.clone()).await.status, 201);
    // The nonce runs out, sweeps pass, and nothing happens that would leave the time in the log.
    shifted.jump("+6m");
    sleep(Duration::from_secs(12)).await;
    shifted.0.kill();

    shifted.run("+0").await;
    is_refused(&device, &spent).await;
    works(&device, 2).await;
    shifted.0.stop();
    shifted.run("-2h").await;
    is_refused(&device, &spent).await;
    works(&device, 3).await;
    sleep(Duration::from_secs(12)).await;
    assert_eq!(went_back(&shifted.0, &vkey).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_ends_what_has_expired_and_nothing_else() {
    let shifted = Shifted::start("+0").await;
    let vkey = shifted.0.with_tenant().await;
    let device = Raw::enrol(&shifted.0, TENANT, "alice").await;
    device.backup("identity", 1, b"any day").await;
    let (never_released, _) = device.open("identity").await;
    let (not_acknowledged, _) = device.open("identity").await;
    assert_eq!(device.release(&not_acknowledged).await.status, 200);
    let (code, late) = (shifted.0.code(TENANT, "alice").await, ask(&device).await);

    shifted.jump("+61m");
    is_refused(&device, &late).await;
    assert_eq!(device.release(&never_released).await.code(), "restore_over");
    assert_eq!(device.release(&not_acknowledged).await.code(), "restore_over");
    let enrolled = Raw::try_enrol(&shifted.0, TENANT, &code, &DeviceKey::generate_p256()).await;
    assert_eq!(enrolled.code(), "enrolment_code_invalid");
    works(&device, 2).await;
    sleep(Duration::from_secs(12)).await;
    let log = shifted.0.verified_log(TENANT, &vkey);
    let mut expired = outcomes(&log, "restore.expired");
    expired.sort();
    assert_eq!(expired, ["not_acknowledged", "ok"]);
}
