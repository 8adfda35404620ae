//! The schedule in simulated time, and the permits in real tasks.

use super::schedule::Schedule;
use super::turns::Waiter;
use super::{Limiter, PermitMeter, Priority};
use providers::Error;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use uuid::Uuid;

const A: Uuid = Uuid::from_u128(1);
const B: Uuid = Uuid::from_u128(2);

/// Waits for ever.
#[derive(Debug)]
struct Patient;

impl Waiter for Patient {
    fn is_gone(&self) -> bool {
        false
    }
}

fn schedule(concurrency: usize, per_second: Option<u32>) -> (Schedule<Patient>, Instant) {
    let now = Instant::now();
    (Schedule::new(concurrency, per_second.and_then(NonZeroU32::new), now), now)
}

fn join(schedule: &mut Schedule<Patient>, kek: Uuid, priority: Priority, times: usize) {
    (0..times).for_each(|_| schedule.join(kek, priority, Patient));
}

fn granted(schedule: &mut Schedule<Patient>, now: Instant) -> Vec<(Uuid, Priority)> {
    std::iter::from_fn(|| schedule.grant(now)).map(|grant| (grant.kek, grant.priority)).collect()
}

/// A vendor that throttles above a rate, with a second's worth of burst; and what became of its calls.
struct Vendor {
    rate: f64,
    tokens: f64,
    filled: Instant,
    answered: usize,
    throttled: usize,
}

impl Vendor {
    fn takes(&mut self, now: Instant) -> bool {
        self.tokens = self.rate.min(self.tokens + self.rate * (now - self.filled).as_secs_f64());
        self.filled = now;
        let takes = self.tokens >= 1.0;
        if takes {
            self.tokens -= 1.0;
        }
        takes
    }
}

/// Plays so many seconds of endless demand against the vendor.
fn play(schedule: &mut Schedule<Patient>, vendor: &mut Vendor, latency: Duration, (from, to): (Instant, Instant)) {
    let mut under_way = BinaryHeap::new();
    let mut now = from;
    join(schedule, A, Priority::Foreground, 200);
    while now < to {
        while schedule.grant(now).is_some() {
            join(schedule, A, Priority::Foreground, 1);
            under_way.push(Reverse((now + latency, now, vendor.takes(now))));
        }
        let Some(Reverse((end, started, taken))) = under_way.pop() else {
            now = schedule.next_turn(now).expect("somebody waits, and no call is under way");
            continue;
        };
        if let Some(turn) = schedule.next_turn(now).filter(|turn| *turn < end) {
            under_way.push(Reverse((end, started, taken)));
            now = turn;
            continue;
        }
        now = end;
        if taken {
            vendor.answered += 1;
            schedule.passed(now);
        } else {
            vendor.throttled += 1;
            schedule.throttled(started, None, now);
        }
        schedule.give_back(A, Priority::Foreground);
    }
}

#[test]
fn settles_near_the_rate_that_the_vendor_takes() {
    for (rate, latency_ms) in [(25.0, 40), (50.0, 5), (200.0, 20), (400.0, 30), (1_000.0, 2)] {
        let (mut schedule, start) = schedule(16, None);
        let mut vendor = Vendor { rate, tokens: rate, filled: start, answered: 0, throttled: 0 };
        play(&mut schedule, &mut vendor, Duration::from_millis(latency_ms), (start, start + Duration::from_secs(120)));
        let (answered, throttled) = (vendor.answered as f64 / 120.0, vendor.throttled as f64);
        let share = throttled / (throttled + vendor.answered as f64);
        eprintln!("limit {rate}/s, {latency_ms} ms: {answered:.0}/s, {:.2} % throttled", 100.0 * share);
        assert!(answered > 0.8 * rate && answered < 1.02 * rate, "{answered} of {rate}");
        assert!(share < 0.05, "{share}");
    }
}

#[test]
fn a_throttle_halves_once_for_all_that_was_under_way_and_comes_back_slowly() {
    let (mut schedule, start) = schedule(16, None);
    join(&mut schedule, A, Priority::Foreground, 100);
    join(&mut schedule, B, Priority::Foreground, 100);
    assert_eq!(granted(&mut schedule, start).len(), 16);
    let later = start + Duration::from_millis(20);
    (0..16).for_each(|_| schedule.throttled(start, None, later));
    assert_eq!(schedule.permits(), (16, 8));
    (0..1_000).for_each(|_| schedule.passed(later));
    assert_eq!(schedule.permits().1, 8, "a second has not passed");
    schedule.passed(later + Duration::from_secs(1));
    assert_eq!(schedule.permits().1, 9);
}

#[test]
fn a_vendor_that_names_a_time_is_left_alone_for_it_but_not_for_ever() {
    for (asked, kept) in [(7, 7), (86_400, 60)] {
        let (mut schedule, start) = schedule(16, None);
        schedule.throttled(start, Some(Duration::from_secs(asked)), start);
        join(&mut schedule, A, Priority::Foreground, 1);
        let end = start + Duration::from_secs(kept);
        assert_eq!(schedule.next_turn(start), Some(end));
        assert!(schedule.grant(end - Duration::from_millis(1)).is_none());
        assert!(schedule.grant(end).is_some());
    }
}

#[test]
fn one_kek_leaves_room_for_the_others() {
    let (mut schedule, now) = schedule(16, None);
    join(&mut schedule, A, Priority::Foreground, 1_000);
    assert_eq!(granted(&mut schedule, now).len(), 15, "alone, a KEK has all but one");
    join(&mut schedule, B, Priority::Foreground, 1);
    assert_eq!(granted(&mut schedule, now), [(B, Priority::Foreground)]);
    (0..15).for_each(|_| schedule.give_back(A, Priority::Foreground));
    schedule.give_back(B, Priority::Foreground);
    assert_eq!(granted(&mut schedule, now).len(), 8, "beside another, half");
}

#[test]
fn each_kek_has_its_turn_however_many_wait_for_another() {
    let (mut schedule, now) = schedule(2, None);
    join(&mut schedule, A, Priority::Foreground, 1_000);
    join(&mut schedule, B, Priority::Foreground, 2);
    assert_eq!(granted(&mut schedule, now).len(), 2);
    schedule.give_back(A, Priority::Foreground);
    schedule.give_back(B, Priority::Foreground);
    assert_eq!(granted(&mut schedule, now), [(A, Priority::Foreground), (B, Priority::Foreground)]);
}

#[test]
fn background_work_gets_what_is_left_and_at_most_half() {
    let (mut schedule, now) = schedule(16, None);
    join(&mut schedule, A, Priority::Background, 100);
    join(&mut schedule, B, Priority::Background, 100);
    let first = granted(&mut schedule, now);
    assert_eq!(first.len(), 8);
    assert_eq!(first.iter().filter(|(kek, _)| *kek == A).count(), 4, "half of a KEK's half");
    join(&mut schedule, A, Priority::Foreground, 100);
    join(&mut schedule, B, Priority::Foreground, 100);
    assert_eq!(granted(&mut schedule, now), [[(A, Priority::Foreground), (B, Priority::Foreground)]; 4].concat());
    (0..4).for_each(|_| schedule.give_back(A, Priority::Background));
    let next = granted(&mut schedule, now);
    assert_eq!(next, [(A, Priority::Foreground); 4], "who waits in the foreground goes first");
}

#[test]
fn a_quota_is_kept_and_half_of_it_is_for_background_work() {
    let played = |foreground: usize, background: usize| {
        let (mut schedule, start) = schedule(16, Some(100));
        join(&mut schedule, A, Priority::Foreground, foreground);
        join(&mut schedule, B, Priority::Background, background);
        let (mut now, end, mut calls) = (start, start + Duration::from_secs(10), (0, 0));
        while now < end {
            for (kek, priority) in granted(&mut schedule, now) {
                schedule.give_back(kek, priority);
                match priority {
                    Priority::Foreground => calls.0 += 1,
                    Priority::Background => calls.1 += 1,
                }
            }
            now = schedule.next_turn(now).unwrap_or(end);
        }
        calls
    };
    assert_eq!(played(5_000, 0), (1_000, 0));
    assert_eq!(played(0, 5_000), (0, 500));
    assert_eq!(played(5_000, 5_000), (1_000, 0));
    assert_eq!(played(700, 5_000).0, 700);
}

fn limiter(concurrency: usize, per_second: Option<u32>) -> std::sync::Arc<Limiter> {
    Limiter::new(concurrency, per_second.and_then(NonZeroU32::new), PermitMeter::of("test"))
}

fn soon(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_dropped_anywhere_lose_no_permit() {
    let limiter = limiter(4, Some(2_000));
    let mut calls = JoinSet::new();
    for n in 0..2_000_u64 {
        let limiter = limiter.clone();
        calls.spawn(async move {
            let kek = if n % 3 == 0 { A } else { B };
            let priority = if n % 5 == 0 { Priority::Background } else { Priority::Foreground };
            let call = async {
                let permit = limiter.acquire(kek, priority, soon(300)).await?;
                tokio::time::sleep(Duration::from_micros(n % 7 * 300)).await;
                permit.settle(&Ok(()));
                Ok::<_, Error>(())
            };
            let _dropped = tokio::time::timeout(Duration::from_millis(n % 300), call).await;
        });
    }
    calls.join_all().await;
    assert_eq!(limiter.schedule().permits(), (0, 4));
    let all = [A, B, A, B].map(|kek| limiter.acquire(kek, Priority::Foreground, soon(1_000)));
    for permit in futures_util::future::join_all(all).await {
        std::mem::forget(permit.unwrap());
    }
    let late = limiter.acquire(A, Priority::Foreground, soon(30)).await;
    assert!(matches!(late, Err(Error::Unavailable { retry_after: None })));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_quota_is_woken_in_time_or_told() {
    let limiter = limiter(16, Some(100));
    let started = Instant::now();
    let calls = (0..60).map(|_| async { drop(limiter.acquire(A, Priority::Foreground, soon(5_000)).await.unwrap()) });
    futures_util::future::join_all(calls).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(590) && took < Duration::from_secs(3), "{took:?}");
    let calls = (0..60).map(|_| limiter.acquire(A, Priority::Foreground, soon(200)));
    let calls = futures_util::future::join_all(calls.map(|call| async { call.await.map(drop) })).await;
    let throttled = calls.iter().filter(|call| matches!(call, Err(Error::Throttled { .. }))).count();
    assert!(throttled >= 30, "{throttled} of 60");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_longer_than_the_deadline_is_told_at_once_and_a_shorter_one_is_waited_for() {
    let limiter = limiter(16, None);
    let throttle = |secs| Err::<(), _>(Error::Throttled { retry_after: Some(Duration::from_millis(secs)) });
    limiter.acquire(A, Priority::Foreground, soon(100)).await.unwrap().settle(&throttle(400));
    let started = Instant::now();
    let told = limiter.acquire(B, Priority::Foreground, soon(200)).await;
    let Err(Error::Throttled { retry_after: Some(rest) }) = told else { panic!("{told:?}") };
    assert!(rest > Duration::from_millis(300) && rest <= Duration::from_millis(400), "{rest:?}");
    assert!(started.elapsed() < Duration::from_millis(100));
    limiter.acquire(B, Priority::Foreground, soon(2_000)).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(350));
}
