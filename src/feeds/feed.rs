//! One log on its way to one sink. Pure: no I/O, no clock.

use super::lane::{Lane, Moment, Setback, Trouble};
use super::linger::{Linger, Lingering};
use crate::clock::Timestamp;
use crate::store::cursors::Cursor;
use crate::store::dead_letters::Extent;
use crate::store::replays::Replay;
use crate::store::stored_words;
use audit::event::Outcome;
use std::ops::Range;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Receivers are told how many events they must have, at most so often.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

stored_words! {
    /// Whether a log is being delivered.
    FeedState {
        /// It is.
        Running = "running",
        /// The last delivery failed; it is tried again.
        Retrying = "retrying",
        /// Nothing is delivered until somebody acts; the reason says who stopped it.
        Paused = "paused",
    }
}

/// Which of a feed's lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// What happens.
    Live,
    /// What an operator wants once more.
    Replay(Uuid),
}

/// What a delivery did with its events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    /// Events that the receiver took.
    pub sent: u64,
    /// Events that this sink does not get.
    pub filtered: u64,
    /// Events that the receiver refused for good.
    pub refused: u64,
}

/// How far a sink is with a log, for operators.
#[derive(Debug, Clone)]
pub struct Status {
    /// Whether it is being delivered.
    pub state: FeedState,
    /// Why not, as a reason code; `operator` where one has paused it.
    pub reason: Option<Outcome>,
    /// Since when not, where that is known; Unix milliseconds, like all times here.
    pub since: Option<Timestamp>,
    /// The lowest index not confirmed.
    pub next: u64,
    /// Events in the log.
    pub size: u64,
    /// When the oldest event happened that is not confirmed.
    pub oldest_at: Option<Timestamp>,
    /// When the receiver confirmed last.
    pub confirmed_at: Option<Timestamp>,
    /// Events that the receiver took.
    pub sent: u64,
    /// Events that this sink does not get.
    pub filtered: u64,
    /// Dead letters.
    pub dead: u64,
    /// Events that were given up.
    pub given_up: u64,
    /// What is still to be delivered again.
    pub replays: Vec<Range<u64>>,
}

/// One log on its way to one sink.
#[derive(Debug, Clone)]
pub struct Feed {
    size: u64,
    live: Lane,
    replays: Vec<(Replay, Lane)>,
    replayed_last: bool,
    paused: bool,
    lagging: bool,
    oldest_at: Option<Timestamp>,
    dead: Extent,
    /// The durable part, but for `next`.
    cursor: Cursor,
    saved: Option<Cursor>,
    /// When receivers were told how many events they must have, and up to where.
    tallied: (Option<Instant>, u64),
    linger: Linger,
    lingering: Lingering,
}

impl Feed {
    pub(super) fn new(cursor: Cursor, linger: Linger) -> Self {
        Self {
            size: cursor.next,
            live: Lane::starting_at(cursor.next),
            replays: Vec::new(),
            replayed_last: false,
            paused: cursor.paused,
            lagging: false,
            oldest_at: None,
            dead: Extent::default(),
            tallied: (None, cursor.next),
            saved: Some(cursor.clone()),
            cursor,
            linger,
            lingering: Lingering::default(),
        }
    }

    /// A log that the sink has nothing of.
    pub(super) fn of_new(tenant: &str, linger: Linger) -> Self {
        let cursor = Cursor { tenant: tenant.into(), next: 0, sent: 0, filtered: 0, confirmed_at: None, paused: false };
        Self::new(cursor, linger)
    }

    /// The log has so many events. `true` when that is more than before.
    pub(super) fn see(&mut self, size: u64, oldest_at: Option<Timestamp>, now: Instant) -> bool {
        let grown = size > self.size;
        if grown {
            self.lingering.grown(now);
        }
        self.size = self.size.max(size);
        self.oldest_at = oldest_at.filter(|_| self.live.next() < self.size);
        grown
    }

    pub(super) fn lane(&self, track: Track) -> Option<&Lane> {
        match track {
            Track::Live => Some(&self.live),
            Track::Replay(id) => self.replays.iter().find(|(replay, _)| replay.id == id).map(|(_, lane)| lane),
        }
    }

    pub(super) fn lane_mut(&mut self, track: Track) -> Option<&mut Lane> {
        match track {
            Track::Live => Some(&mut self.live),
            Track::Replay(id) => self.replays.iter_mut().find(|(replay, _)| replay.id == id).map(|(_, lane)| lane),
        }
    }

    /// What is to be delivered now; the live lane and replays take turns.
    pub(super) fn turn(&self, now: Instant) -> Option<(Track, Range<u64>)> {
        let live = self.live_turn(now);
        let replay = || {
            let due = self.replays.iter().find(|(replay, lane)| lane.next() < replay.to && lane.is_due(now));
            due.map(|(replay, lane)| (Track::Replay(replay.id), lane.range(replay.to)))
        };
        if self.paused {
            None
        } else if self.replayed_last {
            live.or_else(replay)
        } else {
            replay().or(live)
        }
    }

    fn live_turn(&self, now: Instant) -> Option<(Track, Range<u64>)> {
        let wanted = self.has_batch(self.live.next(), now) || self.owes_checkpoint(now);
        (wanted && self.live.is_due(now)).then(|| (Track::Live, self.live.range(self.size)))
    }

    /// Whether the events from `next` on are enough, or have waited long enough.
    fn has_batch(&self, next: u64, now: Instant) -> bool {
        self.lingering.is_over(self.linger, (next, self.size), now)
    }

    /// What follows when a delivery up to `until` succeeds.
    pub(super) fn turn_after(&self, track: Track, until: u64, now: Instant) -> Option<Range<u64>> {
        let (end, wanted) = match track {
            Track::Live => (self.size, self.has_batch(until, now)),
            Track::Replay(id) => (self.replays.iter().find(|(replay, _)| replay.id == id)?.0.to, true),
        };
        let smooth = !self.paused && self.lane(track)?.is_smooth();
        (smooth && wanted && until < end).then_some(until..end)
    }

    /// When something that waits now is due.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.paused {
            return None;
        }
        let owes = self.tallied.1 < self.live.next();
        let tally = self.tallied.0.filter(|_| owes).map(|at| at + CHECKPOINT_EVERY);
        let live = match self.live.due() {
            // A wait after a failure is the longer one.
            Some(due) => Some(due).filter(|_| owes || self.live.next() < self.size),
            None => tally.into_iter().chain(self.lingering.due(self.linger)).min(),
        };
        let replays = self.replays.iter().filter(|(replay, lane)| lane.next() < replay.to);
        replays.filter_map(|(_, lane)| lane.due()).chain(live).min()
    }

    pub(super) fn taken(&mut self, track: Track) {
        self.replayed_last = track != Track::Live;
        if track == Track::Live {
            self.lingering.release(self.size);
        }
    }

    /// Nothing waits for other events any more.
    pub(super) fn hurry(&mut self) {
        self.linger = Linger::default();
        self.lingering.release(self.size);
    }

    /// Whether a delivery may go on: nothing has happened to its lane since it was begun.
    pub(super) fn is_current(&self, track: Track, from: u64) -> bool {
        !self.paused && self.lane(track).is_some_and(|lane| lane.next() == from)
    }

    /// The delivery up to `until` is done. Gives the trouble that this ended.
    pub(super) fn done(&mut self, (track, until): (Track, u64), done: Done, at: Timestamp) -> Option<Trouble> {
        if done.sent > 0 {
            self.cursor.confirmed_at = Some(at);
        }
        if track == Track::Live {
            self.cursor.sent += done.sent;
            self.cursor.filtered += done.filtered;
        }
        self.lane_mut(track)?.advance(until, (done.sent, done.refused))
    }

    pub(super) fn set_back(&mut self, track: Track, until: u64, setback: Setback, (now, dice): (Moment, u16)) -> bool {
        self.lane_mut(track).is_some_and(|lane| lane.set_back(until, setback, now, dice))
    }

    /// The dead letters as they are now. What a replay made of them, it made of what was sent.
    pub(super) fn count_dead(&mut self, track: Track, dead: Extent) {
        if track != Track::Live {
            self.cursor.sent = (self.cursor.sent + self.dead.count).saturating_sub(dead.count);
        }
        self.dead = dead;
    }

    pub(super) fn dead(&self) -> Extent {
        self.dead
    }

    /// Stops or goes on, as an operator wants.
    pub(super) fn pause(&mut self, paused: bool, now: Instant) {
        self.paused = paused;
        self.live.forgive();
        self.replays.iter_mut().for_each(|(_, lane)| lane.forgive());
        self.try_now(now);
    }

    /// Whether an operator, or trouble, has stopped it.
    pub(super) fn is_stopped(&self) -> bool {
        self.paused || self.trouble().is_some()
    }

    /// Tries at once what waits after a failure.
    pub(super) fn try_now(&mut self, now: Instant) {
        self.live.try_now(now);
        self.replays.iter_mut().for_each(|(_, lane)| lane.try_now(now));
    }

    /// What is before `to` was given up.
    pub(super) fn skip_to(&mut self, to: u64) {
        if to > self.live.next() {
            self.live.skip_to(to);
        }
    }

    pub(super) fn replay(&mut self, replay: Replay) {
        let lane = Lane::starting_at(replay.next);
        self.replays.push((replay, lane));
    }

    /// Whether the receiver is to be told how many events it must have.
    pub(super) fn owes_checkpoint(&self, now: Instant) -> bool {
        let (at, next) = self.tallied;
        next < self.live.next() && at.is_none_or(|at| now.duration_since(at) >= CHECKPOINT_EVERY)
    }

    /// Sent, filtered, and neither of them.
    pub(super) fn tally(&self) -> (u64, u64, u64) {
        let Cursor { sent, filtered, .. } = self.cursor;
        (sent, filtered, self.live.next().saturating_sub(sent + filtered))
    }

    /// The receiver was told, or could not be: the next time comes in any case.
    pub(super) fn tallied(&mut self, now: Instant, told: bool) {
        let next = if told { self.live.next() } else { self.tallied.1 };
        self.tallied = (Some(now), next);
    }

    /// Whether the oldest event waits longer than `threshold`; given only when that has changed. It has to fall to half of
    /// it before all is well again.
    pub(super) fn lags(&mut self, now: Timestamp, threshold: Duration) -> Option<bool> {
        let waits = self.lag(now);
        let bound = if self.lagging { threshold / 2 } else { threshold };
        let lagging = waits > bound;
        (lagging != self.lagging).then(|| {
            self.lagging = lagging;
            lagging
        })
    }

    /// How long the oldest event waits.
    pub(super) fn lag(&self, now: Timestamp) -> Duration {
        let oldest_at = self.oldest_at.filter(|_| self.live.next() < self.size);
        Duration::from_millis(oldest_at.map_or(0, |at| u64::try_from(now - at).unwrap_or(0)))
    }

    pub(super) fn events_behind(&self) -> u64 {
        self.size - self.live.next().min(self.size)
    }

    /// What is not durable yet.
    pub(super) fn unsaved(&self) -> Option<Cursor> {
        let cursor = Cursor { next: self.live.next(), paused: self.paused, ..self.cursor.clone() };
        Some(cursor).filter(|cursor| self.saved.as_ref() != Some(cursor))
    }

    pub(super) fn unsaved_replays(&self) -> impl Iterator<Item = Replay> {
        let moved = self.replays.iter().filter(|(replay, lane)| lane.next() > replay.next);
        moved.map(|(replay, lane)| Replay { next: lane.next(), ..replay.clone() })
    }

    pub(super) fn cursor_saved(&mut self, cursor: Cursor) {
        self.saved = Some(cursor);
    }

    /// A replay that is through and saved as such is forgotten.
    pub(super) fn replay_saved(&mut self, saved: &Replay) {
        self.replays.retain(|(replay, _)| replay.id != saved.id || saved.next < saved.to);
        if let Some((replay, _)) = self.replays.iter_mut().find(|(replay, _)| replay.id == saved.id) {
            replay.next = saved.next;
        }
    }

    fn trouble(&self) -> Option<&Trouble> {
        self.live.trouble().or_else(|| self.replays.iter().find_map(|(_, lane)| lane.trouble()))
    }

    pub(super) fn status(&self) -> Status {
        let (state, reason, since) = match (self.paused, self.trouble()) {
            (true, _) => (FeedState::Paused, Some(Outcome::from_static("operator")), None),
            (false, None) => (FeedState::Running, None, None),
            (false, Some(trouble)) => {
                let state = if trouble.paused { FeedState::Paused } else { FeedState::Retrying };
                (state, Some(trouble.reason.clone()), Some(trouble.since))
            }
        };
        let Cursor { sent, filtered, confirmed_at, .. } = self.cursor;
        let next = self.live.next();
        Status {
            state,
            reason,
            since,
            next,
            size: self.size.max(next),
            oldest_at: self.oldest_at.filter(|_| next < self.size),
            confirmed_at,
            sent,
            filtered,
            dead: self.dead.count,
            given_up: next.saturating_sub(sent + filtered + self.dead.count),
            replays: self
                .replays
                .iter()
                .map(|(replay, lane)| lane.next()..replay.to)
                .filter(|r| !r.is_empty())
                .collect(),
        }
    }
}
