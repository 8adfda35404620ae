//! What takes long, in a minute: each receiver is away for an hour, or shows certificates that are not good. Nothing is lost, it is
//! said, and delivery comes back without anybody's doing.
//!
//! The broker's clocks, wall and monotonic, begin in the past and catch up in leaps: when receivers are back it is now for all, as
//! signatures and tokens that carry the time need it.

use super::receivers::{self, Receiver};
use super::trouble::Certificate;
use super::{dead_letters, shown};
use crate::harness::faketime::{FakeClock, Stopwatch};
use crate::harness::{Broker, TENANT};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Minutes from one leap to the next: the longest wait after a failure.
const LEAP: usize = 5;
/// Receivers are back so many minutes before now: the checkpoint over what they then get is still to come.
const BACK: usize = 2;

/// A broker in the past, whose sinks have not delivered anything yet.
struct Past {
    broker: Broker,
    receivers: Vec<Receiver>,
    clock: FakeClock,
    vkey: String,
}

impl Past {
    /// So many leaps before the receivers are back.
    async fn start(leaps: usize, receivers: Vec<Receiver>) -> Self {
        let mut broker = receivers::broker_before(&receivers);
        let clock = FakeClock::new(&broker, Stopwatch::Follows, &before_now(leaps * LEAP + BACK));
        clock.run(&mut broker).await;
        let vkey = broker.with_tenant().await;
        Self { broker, receivers, clock, vkey }
    }

    /// Another event happens, so many leaps are left, and each sink fails once more.
    async fn fails(&self, leaps: usize) {
        let before = self.failures().await;
        self.broker.code(TENANT, "alice").await;
        self.leap(leaps * LEAP + BACK).await;
        self.until("a failure of each", async || {
            self.failures().await.iter().zip(&before).all(|(now, then)| now > then)
        })
        .await;
    }

    /// It is so many minutes before now.
    async fn leap(&self, minutes: usize) {
        self.clock.set(&before_now(minutes));
        // The broker ends connections that were idle for minutes: none of them is to be used for the next request.
        sleep(Duration::from_secs(1)).await;
    }

    /// How often each sink has failed.
    async fn failures(&self) -> Vec<u64> {
        let metrics = self.broker.text("/metrics").await;
        let of = |receiver: &Receiver| {
            let metric = format!("keyfold_sink_failures_total{{sink=\"{}\"}} ", receiver.name);
            metrics.lines().find_map(|line| line.strip_prefix(&metric)).map_or(0, |count| count.parse().unwrap())
        };
        self.receivers.iter().map(of).collect()
    }

    /// The receivers are back and nobody resumes anything: each gets everything, and the log says `kind` of each sink.
    async fn come_back(&self, kind: &str) {
        self.receivers.iter().for_each(Receiver::come_back);
        self.leap(BACK).await;
        self.until(kind, async || self.told(kind, "ok") == self.once()).await;
        self.until("delivery", async || self.shown().await.iter().all(|sink| sink["lag_events"] == 0)).await;
        let size = self.shown().await.iter().filter_map(|sink| sink["size"].as_u64()).max().unwrap();
        self.leap(0).await;
        for receiver in &self.receivers {
            self.until(&format!("checkpoint at {}", receiver.name), async || receiver.checkpoint(TENANT) >= size).await;
            assert_eq!(dead_letters(&self.broker, receiver.name, TENANT).await, Vec::<u64>::new(), "{}", receiver.name);
            receiver.check(&self.broker, (TENANT, &self.vkey), size, &[]);
        }
    }

    /// The sinks as operators see them.
    async fn shown(&self) -> Vec<Value> {
        let mut sinks = Vec::new();
        for receiver in &self.receivers {
            sinks.push(shown(&self.broker, receiver.name, TENANT).await);
        }
        sinks
    }

    /// How often the verified log says of each sink that this has happened, with this outcome.
    fn told(&self, kind: &str, outcome: &str) -> Vec<usize> {
        let log = self.broker.verified_log(TENANT, &self.vkey);
        let is = |event: &Value, sink: &str| {
            event["evt"] == kind && event["out"] == outcome && event["disclosed"]["record"] == sink
        };
        let of = |receiver: &Receiver| log.iter().filter(|event| is(event, receiver.name)).count();
        self.receivers.iter().map(of).collect()
    }

    /// Once of each sink.
    fn once(&self) -> Vec<usize> {
        vec![1; self.receivers.len()]
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !holds().await {
            assert!(Instant::now() < deadline, "no {what}: {:#?}: {}", self.shown().await, self.broker.log());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn before_now(minutes: usize) -> String {
    format!("-{minutes}m")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_hour_away_every_receiver_gets_everything_by_itself() {
    const LEAPS: usize = 12;
    let receivers = receivers::all().await;
    receivers.iter().for_each(Receiver::go_away);
    let past = Past::start(LEAPS, receivers).await;
    for leaps in (1..LEAPS).rev() {
        past.fails(leaps).await;
    }
    for sink in past.shown().await {
        assert!(sink["state"] != "running" && sink["next"] == 0, "{sink}");
    }
    past.until("sink.lagging", async || past.told("sink.lagging", "ok") == past.once()).await;
    assert_eq!(past.told("sink.caught_up", "ok"), vec![0; past.receivers.len()]);
    // Waits grow: an hour is some ten attempts, and a few more at its beginning.
    for (receiver, failures) in past.receivers.iter().zip(past.failures().await) {
        assert!(failures <= 40, "{} was tried {failures} times", receiver.name);
    }

    past.come_back("sink.caught_up").await;
    assert_eq!(past.told("sink.lagging", "ok"), past.once(), "an alarm is raised once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_good_pauses_and_the_next_good_one_resumes() {
    let bad = [Certificate::OfAnotherAuthority, Certificate::Expired, Certificate::ForAnotherName];
    let mut receivers = receivers::all().await;
    receivers.retain(|receiver| receiver.show(bad[0]));
    let past = Past::start(bad.len() + 1, receivers).await;
    for (index, certificate) in bad.into_iter().enumerate() {
        past.receivers.iter().for_each(|receiver| assert!(receiver.show(certificate)));
        past.fails(bad.len() - index).await;
        let untrusted = |sink: &Value| sink["reason"] == "tls_untrusted";
        past.until("tls_untrusted", async || past.shown().await.iter().all(untrusted)).await;
        for sink in past.shown().await {
            assert_eq!((&sink["state"], &sink["next"]), (&"paused".into(), &0.into()), "{certificate:?}: {sink}");
        }
    }

    past.come_back("sink.resumed").await;
    assert_eq!(past.told("sink.paused", "tls_untrusted"), past.once(), "each says so once");
}
