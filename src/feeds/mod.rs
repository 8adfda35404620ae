//! How far each sink is with each log: shared by what delivers and by operators who look and act.

mod feed;
mod lane;
mod linger;

pub use feed::{Done, Feed, FeedState, Status, Track};
pub use lane::{Moment, Setback, Trouble};
pub use linger::Linger;

use crate::clock::Timestamp;
use crate::store::cursors::{Behind, Cursor};
use crate::store::dead_letters::Extent;
use crate::store::replays::Replay;
use audit::event::Outcome;
use sinks::Delivery;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};

/// Tests that wait for their turn; more are refused.
const TESTS: usize = 16;

/// Every sink by its name.
#[derive(Debug, Default)]
pub struct Feeds(RwLock<BTreeMap<String, Arc<SinkFeeds>>>);

impl Feeds {
    /// The sink of this name, if the tenant's log goes there.
    #[must_use]
    pub fn of(&self, sink: &str, tenant: &str) -> Option<Arc<SinkFeeds>> {
        let sinks = self.0.read().expect("invariant: nothing panics while holding this lock");
        sinks.get(sink).filter(|sink| sink.serves(tenant)).cloned()
    }

    /// The sinks that the tenant's log goes to, in the order of their names.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Vec<Arc<SinkFeeds>> {
        let sinks = self.0.read().expect("invariant: nothing panics while holding this lock");
        sinks.values().filter(|sink| sink.serves(tenant)).cloned().collect()
    }

    pub(crate) fn add(&self, sink: Arc<SinkFeeds>) {
        let mut sinks = self.0.write().expect("invariant: nothing panics while holding this lock");
        sinks.insert(sink.name.clone(), sink);
    }
}

/// An operator asks whether messages of this tenant arrive.
#[derive(Debug)]
pub struct Test {
    /// Whose log the message is in the name of.
    pub tenant: String,
    /// What became of it: nothing, or a reason code.
    pub reply: oneshot::Sender<Result<(), Outcome>>,
}

/// What is to be delivered next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose log.
    pub tenant: String,
    /// Which of its lanes.
    pub track: Track,
    /// Which events, at most. None, when the receiver is only to be told how many it must have.
    pub range: Range<u64>,
}

/// What is to be made durable.
#[derive(Debug, Clone, Default)]
pub struct Unsaved {
    /// The cursors that have moved.
    pub cursors: Vec<Cursor>,
    /// The replays that have moved.
    pub replays: Vec<Replay>,
}

/// A sink as metrics show it, over all logs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Events not confirmed.
    pub behind: u64,
    /// How long the oldest of them waits.
    pub lag: Duration,
    /// Logs that are not delivered until somebody acts.
    pub paused: u64,
    /// Dead letters.
    pub dead: u64,
}

/// All logs on their way to one sink.
#[derive(Debug)]
pub struct SinkFeeds {
    /// The sink's name.
    pub name: String,
    /// What a delivery means.
    pub delivery: Delivery,
    tenants: Option<BTreeSet<String>>,
    linger: Linger,
    feeds: Mutex<State>,
    tests: mpsc::Sender<Test>,
    /// Something is to be done that was not before.
    pub(crate) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    feeds: BTreeMap<String, Feed>,
    /// Whose turn was last.
    last: String,
}

impl SinkFeeds {
    pub(crate) fn new(
        name: String,
        delivery: Delivery,
        tenants: Option<BTreeSet<String>>,
        linger: Linger,
    ) -> (Arc<Self>, mpsc::Receiver<Test>) {
        let (tests, asked) = mpsc::channel(TESTS);
        let feeds = Self { name, delivery, tenants, linger, feeds: Mutex::default(), tests, changed: Notify::new() };
        (Arc::new(feeds), asked)
    }

    fn serves(&self, tenant: &str) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.feeds.lock().expect("invariant: nothing panics while holding this lock")
    }

    fn with<T>(&self, tenant: &str, act: impl FnOnce(&mut Feed) -> T) -> T {
        let mut state = self.state();
        let feed = state.feeds.entry(tenant.to_owned()).or_insert_with(|| Feed::of_new(tenant, self.linger));
        act(feed)
    }

    /// How far the sink is with the tenant's log.
    #[must_use]
    pub fn status(&self, tenant: &str) -> Status {
        self.with(tenant, |feed| feed.status())
    }

    /// Asks whether messages arrive; `None` when nobody can tell now.
    pub async fn test(&self, tenant: &str) -> Option<Result<(), Outcome>> {
        let (reply, answer) = oneshot::channel();
        self.tests.try_send(Test { tenant: tenant.to_owned(), reply }).ok()?;
        answer.await.ok()
    }

    /// Stops or goes on, as an operator wants; what waits after a failure is tried at once.
    pub fn pause(&self, tenant: &str, paused: bool) {
        self.with(tenant, |feed| feed.pause(paused, Instant::now()));
        self.changed.notify_one();
    }

    /// Whether an operator, or trouble, has stopped it.
    #[must_use]
    pub fn is_stopped(&self, tenant: &str) -> bool {
        self.with(tenant, |feed| feed.is_stopped())
    }

    /// What is before `to` was given up.
    pub fn skip_to(&self, tenant: &str, to: u64) {
        self.with(tenant, |feed| feed.skip_to(to));
        self.changed.notify_one();
    }

    /// A range is to be delivered once more.
    pub fn replay(&self, replay: Replay) {
        self.with(&replay.tenant.clone(), |feed| feed.replay(replay));
        self.changed.notify_one();
    }

    /// What the database holds, at the start.
    pub(crate) fn restore(&self, cursors: Vec<Cursor>, dead: Vec<(String, Extent)>, replays: Vec<Replay>) {
        let mut state = self.state();
        for cursor in cursors.into_iter().filter(|cursor| self.serves(&cursor.tenant)) {
            state.feeds.insert(cursor.tenant.clone(), Feed::new(cursor, self.linger));
        }
        for (tenant, dead) in dead.into_iter().filter(|(tenant, _)| self.serves(tenant)) {
            let feed = state.feeds.entry(tenant).or_insert_with_key(|tenant| Feed::of_new(tenant, self.linger));
            feed.count_dead(Track::Live, dead);
        }
        for replay in replays {
            if let Some(feed) = state.feeds.get_mut(&replay.tenant) {
                feed.replay(replay);
            }
        }
    }

    /// These logs have more than what is saved as confirmed.
    pub(crate) fn see(&self, behind: Vec<Behind>) {
        let (mut grown, now) = (false, Instant::now());
        for log in behind.into_iter().filter(|log| self.serves(&log.tenant)) {
            grown |= self.with(&log.tenant, |feed| feed.see(log.size, log.oldest_at, now));
        }
        if grown {
            self.changed.notify_one();
        }
    }

    /// Nothing waits for other events any more: there may be none.
    pub(crate) fn hurry(&self) {
        self.state().feeds.values_mut().for_each(Feed::hurry);
    }

    /// Whose turn it is; nobody's log waits while another has had two.
    pub(crate) fn turn(&self, now: Instant) -> Option<Turn> {
        let mut state = self.state();
        let turn = state.turn_but_for(now, None)?;
        state.begin(&turn);
        Some(turn)
    }

    /// What to prepare while `turn`, up to `until`, is being delivered: another log's turn, or more of the same.
    pub(crate) fn turn_after(&self, turn: &Turn, until: u64, now: Instant) -> Option<Turn> {
        let state = self.state();
        let same = || {
            let range = state.feeds.get(&turn.tenant)?.turn_after(turn.track, until, now)?;
            Some(Turn { range, ..turn.clone() })
        };
        state.turn_but_for(now, Some(&turn.tenant)).or_else(same)
    }

    /// Begins what was prepared; `false` when it is not wanted any more.
    pub(crate) fn begin(&self, turn: &Turn) -> bool {
        let mut state = self.state();
        let current = state.feeds.get(&turn.tenant).is_some_and(|feed| feed.is_current(turn.track, turn.range.start));
        if current {
            state.begin(turn);
        }
        current
    }

    /// When something that waits now is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.state().feeds.values().filter_map(Feed::due).min()
    }

    /// A delivery up to `until` is done. Gives the trouble that this ended.
    pub(crate) fn done(&self, turn: &Turn, until: u64, done: Done, now: Moment) -> Option<Trouble> {
        let mut state = self.state();
        let ended = state.feeds.get_mut(&turn.tenant)?.done((turn.track, until), done, now.at)?;
        // It was in trouble and has got through: the others need not wait any longer.
        state.feeds.values_mut().for_each(|feed| feed.try_now(now.instant));
        Some(ended)
    }

    /// A delivery up to `until` has failed. `true` when somebody has to be told that only they can help.
    pub(crate) fn set_back(&self, turn: &Turn, until: u64, setback: Setback, (now, dice): (Moment, u16)) -> bool {
        self.with(&turn.tenant, |feed| feed.set_back(turn.track, until, setback, (now, dice)))
    }

    /// The receiver refuses the events up to `until`, and does not say which.
    pub(crate) fn suspect(&self, turn: &Turn, until: u64) {
        self.with(&turn.tenant, |feed| feed.lane_mut(turn.track).map(|lane| lane.suspect(until)));
    }

    /// Events refused one by one without any being taken in between.
    pub(crate) fn refused_in_a_row(&self, turn: &Turn) -> u32 {
        self.with(&turn.tenant, |feed| feed.lane(turn.track).map_or(0, |lane| lane.refused_in_a_row()))
    }

    /// The dead letters as they are now.
    pub(crate) fn count_dead(&self, turn: &Turn, dead: Extent) {
        self.with(&turn.tenant, |feed| feed.count_dead(turn.track, dead));
    }

    /// Whether an event from the turn's first on may be a dead letter.
    pub(crate) fn may_be_dead(&self, turn: &Turn) -> bool {
        self.with(&turn.tenant, |feed| turn.range.start < feed.dead().until)
    }

    /// Sent, filtered, and neither of them, where the receiver is to be told now.
    pub(crate) fn owed_tally(&self, tenant: &str, now: Instant) -> Option<(u64, u64, u64)> {
        self.with(tenant, |feed| feed.owes_checkpoint(now).then(|| feed.tally()))
    }

    /// The receiver was told, or could not be.
    pub(crate) fn tallied(&self, tenant: &str, now: Instant, told: bool) {
        self.with(tenant, |feed| feed.tallied(now, told));
    }

    /// The logs whose oldest event waits longer than `threshold`, or does not any more; each change once.
    pub(crate) fn lagging(&self, now: Timestamp, threshold: Duration) -> Vec<(String, bool)> {
        let mut state = self.state();
        let changed =
            state.feeds.iter_mut().filter_map(|(tenant, feed)| Some((tenant.clone(), feed.lags(now, threshold)?)));
        changed.collect()
    }

    pub(crate) fn totals(&self, now: Timestamp) -> Totals {
        let mut totals = Totals::default();
        for feed in self.state().feeds.values() {
            totals.behind += feed.events_behind();
            totals.lag = totals.lag.max(feed.lag(now));
            totals.paused += u64::from(feed.status().state == FeedState::Paused);
            totals.dead += feed.dead().count;
        }
        totals
    }

    pub(crate) fn unsaved(&self) -> Unsaved {
        let state = self.state();
        let cursors = state.feeds.values().filter_map(Feed::unsaved).collect();
        Unsaved { cursors, replays: state.feeds.values().flat_map(Feed::unsaved_replays).collect() }
    }

    pub(crate) fn saved(&self, saved: Unsaved) {
        for cursor in saved.cursors {
            self.with(&cursor.tenant.clone(), |feed| feed.cursor_saved(cursor));
        }
        for replay in saved.replays {
            self.with(&replay.tenant, |feed| feed.replay_saved(&replay));
        }
    }
}

impl State {
    fn turn_but_for(&self, now: Instant, tenant: Option<&str>) -> Option<Turn> {
        let after = self.feeds.range::<str, _>((Excluded(self.last.as_str()), Unbounded));
        let before = self.feeds.range::<str, _>((Unbounded, Included(self.last.as_str())));
        let mut others = after.chain(before).filter(|(name, _)| Some(name.as_str()) != tenant);
        others.find_map(|(tenant, feed)| {
            let (track, range) = feed.turn(now)?;
            Some(Turn { tenant: tenant.clone(), track, range })
        })
    }

    fn begin(&mut self, turn: &Turn) {
        self.last.clone_from(&turn.tenant);
        if let Some(feed) = self.feeds.get_mut(&turn.tenant) {
            feed.taken(turn.track);
        }
    }
}

#[cfg(test)]
mod tests;
