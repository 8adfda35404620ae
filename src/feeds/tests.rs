use super::{Done, Linger, Moment, Setback, SinkFeeds, Track, Turn};
use crate::store::cursors::{Behind, Cursor};
use crate::store::dead_letters::Extent;
use crate::store::replays::Replay;
use audit::event::Outcome;
use proptest::prelude::*;
use sinks::Delivery;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

fn feeds() -> Arc<SinkFeeds> {
    SinkFeeds::new("siem".into(), Delivery::Confirmed, None, Linger::default()).0
}

fn behind(tenant: &str, size: u64) -> Behind {
    Behind { tenant: tenant.into(), size, oldest_at: Some(0) }
}

fn moment(instant: Instant) -> Moment {
    Moment { instant, at: 0 }
}

fn retry() -> Setback {
    Setback::Retry { reason: Outcome::from_static("unavailable"), after: None }
}

/// A receiver that takes at most so many at once, and refuses every batch with one of the poisoned events.
struct Receiver<'a> {
    most: u64,
    poisoned: &'a BTreeSet<u64>,
    taken: Vec<u64>,
    dead: BTreeSet<u64>,
    batches: u64,
}

impl Receiver<'_> {
    fn deliver(&mut self, feeds: &SinkFeeds, turn: &Turn, now: Moment) {
        let until = turn.range.end.min(turn.range.start + self.most);
        let batch: Range<u64> = turn.range.start..until;
        self.batches += 1;
        match self.poisoned.range(batch.clone()).next() {
            None => {
                self.taken.extend(batch.clone());
                feeds.done(turn, until, Done { sent: until - batch.start, ..Done::default() }, now);
            }
            Some(index) if until - batch.start == 1 => {
                self.dead.insert(*index);
                feeds.done(turn, until, Done { refused: 1, ..Done::default() }, now);
            }
            Some(_) => feeds.suspect(turn, until),
        }
    }
}

proptest! {
    #[test]
    fn a_refused_batch_is_halved_down_to_exactly_what_is_poisoned(
        size in 1_u64..3_000,
        most in 1_u64..600,
        poisoned in prop::collection::btree_set(0_u64..3_000, 0..12),
    ) {
        let poisoned: BTreeSet<_> = poisoned.into_iter().filter(|index| *index < size).collect();
        let (feeds, now) = (feeds(), Instant::now());
        feeds.see(vec![behind("acme", size)]);
        let mut receiver = Receiver { most, poisoned: &poisoned, taken: vec![], dead: BTreeSet::new(), batches: 0 };
        while let Some(turn) = feeds.turn(now).filter(|turn| !turn.range.is_empty()) {
            receiver.deliver(&feeds, &turn, moment(now));
        }
        prop_assert_eq!(&receiver.dead, &poisoned);
        prop_assert_eq!(receiver.taken, (0..size).filter(|index| !poisoned.contains(index)).collect::<Vec<_>>());
        // Each poisoned event costs the halvings of one batch, and the rest of it once more.
        let halvings = 2 * u64::from(u64::BITS - most.leading_zeros()) + 2;
        let count = u64::try_from(poisoned.len()).unwrap();
        prop_assert!(receiver.batches <= size.div_ceil(most) + count * halvings, "{} batches", receiver.batches);
        let status = feeds.status("acme");
        prop_assert_eq!((status.next, status.sent, status.given_up), (size, size - count, count));
    }
}

#[test]
fn one_logs_trouble_holds_back_no_other_and_ends_for_all_at_once() {
    let (feeds, now) = (feeds(), Instant::now());
    feeds.see(vec![behind("a", 10), behind("b", 10), behind("c", 10)]);
    let turns: Vec<_> = (0..3).map(|_| feeds.turn(now).unwrap()).collect();
    assert_eq!(turns.iter().map(|turn| turn.tenant.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    for turn in &turns[..2] {
        assert!(!feeds.set_back(turn, 10, retry(), (moment(now), u16::MAX)));
    }
    assert_eq!(feeds.turn(now).unwrap().tenant, "c");
    feeds.done(&turns[2], 10, Done::default(), moment(now));
    assert!(feeds.turn(now).is_none_or(|turn| turn.tenant == "c"), "the others wait");

    let later = now + Duration::from_secs(3);
    let due = feeds.turn(later).unwrap();
    assert!(feeds.done(&due, 10, Done { sent: 10, ..Done::default() }, moment(now)).is_some());
    let other = feeds.turn(now).unwrap();
    assert_ne!(other.tenant, due.tenant, "one got through, so the other is tried at once");
    assert_eq!(other.range, 0..10, "the same batch again");
}

#[test]
fn waits_are_full_jitter_from_a_second_to_five_minutes_and_a_receiver_may_ask_for_longer() {
    let (feeds, now) = (feeds(), Instant::now());
    feeds.see(vec![behind("a", 1)]);
    let turn = feeds.turn(now).unwrap();
    let wait = |dice, setback| {
        feeds.set_back(&turn, 1, setback, (moment(now), dice));
        feeds.due().unwrap() - now
    };
    let longest: Vec<_> = (0..10).map(|_| wait(u16::MAX, retry()).as_secs()).collect();
    assert_eq!(longest, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(wait(0, retry()), Duration::from_secs(1));
    let asked = |seconds| Setback::Retry {
        reason: Outcome::from_static("unavailable"),
        after: Some(Duration::from_secs(seconds)),
    };
    assert_eq!(wait(0, asked(900)).as_secs(), 900);
    assert_eq!(wait(0, asked(1_000_000)).as_secs(), 3_600);
    assert_eq!(wait(0, Setback::Pause(Outcome::from_static("unauthorized"))).as_secs(), 300);
}

#[test]
fn a_pause_by_trouble_is_told_once_and_so_is_its_end() {
    let (feeds, now) = (feeds(), Instant::now());
    feeds.see(vec![behind("a", 1)]);
    let turn = feeds.turn(now).unwrap();
    let pause = || Setback::Pause(Outcome::from_static("unauthorized"));
    assert!(feeds.set_back(&turn, 1, pause(), (moment(now), 0)));
    assert!(!feeds.set_back(&turn, 1, pause(), (moment(now), 0)));
    assert!(!feeds.set_back(&turn, 1, retry(), (moment(now), 0)));
    assert!(!feeds.set_back(&turn, 1, pause(), (moment(now), 0)));
    let ended = feeds.done(&turn, 1, Done { sent: 1, ..Done::default() }, moment(now)).unwrap();
    assert!(ended.announced);
    assert!(feeds.done(&turn, 1, Done::default(), moment(now)).is_none());
}

#[test]
fn a_replay_takes_turns_with_what_happens_and_counts_nothing_twice() {
    let (feeds, now) = (feeds(), Instant::now());
    let cursor = Cursor { tenant: "a".into(), next: 100, sent: 90, filtered: 8, confirmed_at: None, paused: false };
    feeds.restore(vec![cursor], vec![("a".into(), Extent { count: 2, until: 16 })], vec![]);
    feeds.see(vec![behind("a", 200)]);
    let replay = Replay { id: Uuid::now_v7(), tenant: "a".into(), next: 10, to: 20 };
    feeds.replay(replay.clone());
    let (first, second) = (feeds.turn(now).unwrap(), feeds.turn(now).unwrap());
    assert_eq!((first.track, first.range.clone()), (Track::Replay(replay.id), 10..20));
    assert_eq!((second.track, second.range.clone()), (Track::Live, 100..200));
    assert!(feeds.may_be_dead(&first) && !feeds.may_be_dead(&second), "nobody looks for dead letters beyond the last");
    feeds.count_dead(&first, Extent { count: 1, until: 12 });
    feeds.done(&first, 20, Done { sent: 9, filtered: 1, refused: 0 }, moment(now));
    let status = feeds.status("a");
    assert_eq!((status.next, status.sent, status.filtered, status.dead), (100, 91, 8, 1), "a dead letter was taken");
    assert!(status.replays.is_empty());
    let unsaved = feeds.unsaved();
    assert_eq!(unsaved.replays, [Replay { next: 20, ..replay }]);
    feeds.saved(unsaved);
    assert!(feeds.unsaved().cursors.is_empty() && feeds.unsaved().replays.is_empty());
}

#[test]
fn what_was_given_up_stays_so_whatever_was_under_way() {
    let (feeds, now) = (feeds(), Instant::now());
    feeds.see(vec![behind("a", 100)]);
    let turn = feeds.turn(now).unwrap();
    feeds.skip_to("a", 50);
    assert!(!feeds.begin(&turn), "what was read ahead is not wanted any more");
    feeds.done(&turn, 10, Done { sent: 10, ..Done::default() }, moment(now));
    let status = feeds.status("a");
    assert_eq!((status.next, status.sent, status.given_up), (50, 10, 40));
    feeds.pause("a", true);
    assert!(feeds.turn(now).is_none());
    feeds.pause("a", false);
    assert_eq!(feeds.turn(now).unwrap().range, 50..100);
}

#[test]
fn each_change_of_lag_is_told_once() {
    let (feeds, limit) = (feeds(), Duration::from_secs(300));
    feeds.see(vec![behind("a", 1)]);
    let told = |now| feeds.lagging(now, limit).into_iter().map(|(_, lagging)| lagging).collect::<Vec<_>>();
    assert_eq!((told(299_000), told(301_000), told(400_000)), (vec![], vec![true], vec![]));
    assert_eq!((told(200_000), told(100_000), told(100_000)), (vec![], vec![false], vec![]));
}

#[test]
fn events_wait_for_others_as_long_as_configured_and_no_longer_than_a_batch_takes() {
    let linger = Linger { wait: Duration::from_secs(60), full: 100 };
    let (feeds, now) = (SinkFeeds::new("siem".into(), Delivery::Confirmed, None, linger).0, Instant::now());
    let at = |seconds| now + Duration::from_secs(seconds);
    let sent = |sent| Done { sent, ..Done::default() };
    feeds.see(vec![behind("a", 10)]);
    assert_eq!(feeds.turn(at(50)), None);
    assert!(feeds.due().unwrap() >= at(60), "the pump wakes for it");
    let turn = feeds.turn(at(61)).unwrap();
    assert_eq!(turn.range, 0..10);

    // Nobody waits twice: what failed, and what the batch had no room for, goes at once.
    feeds.see(vec![behind("a", 20)]);
    assert_eq!(feeds.turn_after(&turn, 10, now), None, "what came meanwhile waits for others");
    assert!(!feeds.set_back(&turn, 10, retry(), (moment(now), u16::MAX)));
    let again = feeds.turn(at(10)).unwrap();
    assert_eq!(again.range, 0..10);
    feeds.done(&again, 6, sent(6), moment(now));
    let rest = feeds.turn(at(10)).unwrap();
    feeds.done(&rest, rest.range.end, sent(14), moment(now));

    // A batch that is full does not wait, and neither does anything at the end.
    feeds.see(vec![behind("a", 120)]);
    let full = feeds.turn(now).unwrap();
    feeds.done(&full, 120, sent(100), moment(now));
    feeds.tallied("a", now, true);
    feeds.see(vec![behind("a", 121)]);
    assert_eq!(feeds.turn(now), None);
    feeds.hurry();
    assert_eq!(feeds.turn(now).unwrap().range, 120..121);
}

#[test]
fn nothing_is_due_before_it_can_be_done() {
    let (feeds, now) = (feeds(), Instant::now());
    feeds.see(vec![behind("a", 10)]);
    let turn = feeds.turn(now).unwrap();
    feeds.done(&turn, 5, Done { sent: 5, ..Done::default() }, moment(now));
    feeds.tallied("a", now, true);
    feeds.done(&turn, 6, Done { sent: 1, ..Done::default() }, moment(now));
    let later = now + Duration::from_secs(90);
    feeds.set_back(&turn, 10, Setback::Pause(Outcome::from_static("unauthorized")), (moment(later), 0));
    assert_eq!(feeds.due().unwrap() - later, Duration::from_secs(300), "the checkpoint that is owed waits too");
    feeds.skip_to("a", 10);
    feeds.tallied("a", later, true);
    assert!(feeds.turn(later).is_none() && feeds.due().is_none(), "nothing is left to be done");
}
