//! Releases that wait for witnesses, and those that do not.

use crate::harness::{Answer, Broker, Raw, TENANT, keyfold, outcomes};
use crate::watch::{Watch, broker, configure, entry, watched, without_witnesses};
use std::net::TcpListener;
use std::time::Duration;
use tokio::time::Instant;

const WITNESSED: &str = "\n[release]\nrequires = \"witnessed\"\ndeadline_ms = 1500\n";
/// Well below what a request to a witness may take.
const UNDELAYED: Duration = Duration::from_secs(2);

/// A witness that takes every connection and says nothing.
fn hanging() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A restore that waits for its release.
async fn restore(broker: &Broker, generation: u64) -> (Raw, protocol::messages::RestoreOpened) {
    let device = Raw::enrol(broker, TENANT, "alice").await;
    device.backup("identity", generation, b"key").await;
    let (opened, _) = device.open("identity").await;
    (device, opened)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witnessed_release_waits_for_the_witness_and_fails_without_unwrapping() {
    let (mut broker, vkey) = broker().await;
    let (mut watch, (_listener, url)) = (Watch::prepared(&[&vkey]), hanging());
    broker.stop();
    configure(&broker, &(entry("hanging", &url, &watch.vkey, None) + WITNESSED));
    broker.run(&[]).await;
    let (device, opened) = restore(&broker, 1).await;
    let before = broker.unwraps().await;
    for _ in 0..2 {
        let answer: Answer = device.release(&opened).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "witness_unavailable"));
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert_eq!(broker.unwraps().await, before, "no key was unwrapped");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.failed"), ["witness_unavailable"; 2]);

    broker.stop();
    without_witnesses(&broker);
    configure(&broker, &(watch.entry() + WITNESSED));
    watch.run().await;
    broker.run(&[]).await;
    let answer = device.release(&opened).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let log = broker.verified_log(TENANT, &vkey);
    let intent = log.iter().rposition(|event| event["evt"] == "restore.intent").unwrap();
    assert!(watch.remembered() > u64::try_from(intent).unwrap(), "the witness has the intent");
    // Fetched again, it is again the witness that must have seen it.
    watch.kill();
    assert_eq!(device.release(&opened).await.code(), "witness_unavailable");
}

/// Of several releases one after the other.
async fn median_release(broker: &Broker, kind: &str) -> Duration {
    let device = Raw::enrol(broker, TENANT, "alice").await;
    let mut times = Vec::new();
    for generation in 1..=11 {
        device.backup(kind, generation, b"key").await;
        let (opened, _) = device.open(kind).await;
        let started = Instant::now();
        assert_eq!(device.release(&opened).await.status, 200);
        times.push(started.elapsed());
        assert_eq!(device.acknowledge(&opened).await.status, 204);
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_a_release_waits_for_is_sent_at_once() {
    let (mut broker, _, _watch) = watched().await;
    let durable = median_release(&broker, "durable").await;
    broker.stop();
    configure(&broker, WITNESSED);
    broker.run(&[]).await;
    let witnessed = median_release(&broker, "witnessed").await;
    eprintln!("median release: durable {durable:?}, witnessed {witnessed:?}");
    assert!(witnessed < durable + Duration::from_millis(700), "less than the second between two checkpoints");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_release_does_not_wait_for_a_witness_that_hangs() {
    let (mut broker, vkey) = broker().await;
    let (watch, (_listener, url)) = (Watch::prepared(&[&vkey]), hanging());
    broker.stop();
    configure(&broker, &entry("hanging", &url, &watch.vkey, None));
    let started = Instant::now();
    broker.run(&[]).await;
    assert!(started.elapsed() < 5 * UNDELAYED, "the start does not wait either");
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    let mut slowest = Duration::ZERO;
    for generation in 1..=20 {
        device.backup("identity", generation, b"key").await;
        let (opened, _) = device.open("identity").await;
        let started = Instant::now();
        assert_eq!(device.release(&opened).await.status, 200);
        slowest = slowest.max(started.elapsed());
        assert_eq!(device.acknowledge(&opened).await.status, 204);
    }
    assert!(slowest < UNDELAYED, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_is_as_many_witnesses_as_it_says() {
    let (mut broker, vkey, one) = watched().await;
    let mut other = Watch::prepared(&[&vkey]);
    broker.stop();
    configure(&broker, &entry("other", &other.url(""), &other.vkey, Some(&other.ca())));
    configure(&broker, &format!("{WITNESSED}quorum = 2\n"));
    broker.run(&[]).await;
    let (device, opened) = restore(&broker, 1).await;
    assert_eq!(device.release(&opened).await.code(), "witness_unavailable", "one of two");
    other.run().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while device.release(&opened).await.status != 200 {
        assert!(Instant::now() < deadline, "{}", broker.log());
    }
    assert!(one.remembered() > 0 && other.remembered() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_does_not_promise_what_no_witness_can_keep() {
    for more in [
        WITNESSED.to_owned(),
        "\n[release]\ntenants = { acme = \"witnessed\" }\n".to_owned(),
        "\n[release]\nquorum = 0\n".to_owned(),
        "\n[release]\ndeadline_ms = 60000\n".to_owned(),
    ] {
        let broker = Broker::prepared(|config| config + &more);
        let refused = keyfold(&["serve", "--config", broker.path("keyfold.toml").to_str().unwrap()]);
        assert!(!refused.status.success(), "{more}");
    }
}
