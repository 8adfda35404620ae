//! Events from one index on, in order: which come next, and what each outcome makes of that. Pure: no I/O, no clock.

use crate::clock::Timestamp;
use audit::event::Outcome;
use std::ops::Range;
use std::time::{Duration, Instant};

/// First and longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// The longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

/// Why a batch was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback {
    /// For now: the same batch again, not before the time the receiver asked for.
    Retry {
        /// Why, as a reason code.
        reason: Outcome,
        /// What the receiver asked for.
        after: Option<Duration>,
    },
    /// Until somebody has acted: tried again every five minutes.
    Pause(Outcome),
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why, as a reason code.
    pub reason: Outcome,
    /// Whether only an operator can help.
    pub paused: bool,
    /// Since when, in Unix milliseconds.
    pub since: Timestamp,
    /// Whether the log says that the sink has paused.
    pub announced: bool,
    attempts: u32,
    due: Instant,
}

/// When something happens: for waiting, and for showing.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The machine's stopwatch.
    pub instant: Instant,
    /// Unix milliseconds.
    pub at: Timestamp,
}

/// A place in a log, and what is known about what comes next.
#[derive(Debug, Clone, Default)]
pub struct Lane {
    next: u64,
    /// A batch that failed comes again as it was: receivers know it by its bounds.
    again: Option<u64>,
    /// The receiver refuses the events from `next` up to here, and does not say which.
    suspect: Option<u64>,
    refused_in_a_row: u32,
    trouble: Option<Trouble>,
}

impl Lane {
    pub(super) fn starting_at(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// The lowest index that is not done with.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Whether the next events may be taken for granted to follow the present ones.
    pub(super) fn is_smooth(&self) -> bool {
        self.trouble.is_none() && self.suspect.is_none()
    }

    /// Events refused one by one without any being taken in between.
    pub(super) fn refused_in_a_row(&self) -> u32 {
        self.refused_in_a_row
    }

    /// What to take next of the events below `end`: of a refused batch the first half, until the fault is found.
    pub(super) fn range(&self, end: u64) -> Range<u64> {
        let until = match (self.again, self.suspect) {
            (Some(again), _) => again,
            (None, Some(suspect)) => self.next + ((suspect - self.next) / 2).max(1),
            (None, None) => end,
        };
        self.next..until
    }

    /// Whether the wait after the last failure is over.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.trouble.as_ref().is_none_or(|trouble| trouble.due <= now)
    }

    /// When the wait after the last failure is over.
    pub(super) fn due(&self) -> Option<Instant> {
        self.trouble.as_ref().map(|trouble| trouble.due)
    }

    /// Does not wait any longer.
    pub(super) fn try_now(&mut self, now: Instant) {
        if let Some(trouble) = &mut self.trouble {
            trouble.due = now;
        }
    }

    /// An operator thinks that the receiver takes events again.
    pub(super) fn forgive(&mut self) {
        self.refused_in_a_row = 0;
    }

    /// What is before `to` is not wanted any more.
    pub(super) fn skip_to(&mut self, to: u64) {
        (self.next, self.again, self.suspect) = (to, None, None);
    }

    /// Everything below `until` is done with, `refused` of it as dead letters. Gives the trouble that this ended.
    pub(super) fn advance(&mut self, until: u64, (taken, refused): (u64, u64)) -> Option<Trouble> {
        self.next = self.next.max(until);
        self.again = None;
        if refused > 0 || self.suspect.is_some_and(|suspect| suspect <= self.next) {
            self.suspect = None;
        }
        let refused = u32::try_from(refused).unwrap_or(u32::MAX);
        self.refused_in_a_row = if taken > 0 { 0 } else { self.refused_in_a_row.saturating_add(refused) };
        self.trouble.take()
    }

    /// One of the events from `next` up to `until` is at fault.
    pub(super) fn suspect(&mut self, until: u64) {
        self.again = None;
        self.suspect = Some(until);
        self.trouble = None;
    }

    /// The events from `next` up to `until` were not delivered. `true` when somebody has to be told that only they can help.
    pub(super) fn set_back(&mut self, until: u64, setback: Setback, now: Moment, dice: u16) -> bool {
        self.again = Some(until).filter(|until| *until > self.next);
        let before = self.trouble.take();
        let (attempts, announced) = before.as_ref().map_or((0, false), |before| (before.attempts, before.announced));
        let (reason, wait, paused) = match setback {
            Setback::Retry { reason, after: Some(after) } => (reason, after.min(LONGEST_ASKED), false),
            Setback::Retry { reason, after: None } => (reason, backoff(attempts, dice), false),
            Setback::Pause(reason) => (reason, RETRY.1, true),
        };
        let since = before.filter(|before| before.paused == paused).map_or(now.at, |before| before.since);
        self.trouble = Some(Trouble {
            reason,
            paused,
            since,
            announced: announced || paused,
            attempts: attempts.saturating_add(1),
            due: now.instant + wait,
        });
        paused && !announced
    }
}

/// Full jitter: anything from the first wait to twice as much as the time before, up to the longest.
fn backoff(attempts: u32, dice: u16) -> Duration {
    let longest = RETRY.0.saturating_mul(2_u32.saturating_pow(attempts.saturating_add(1))).min(RETRY.1);
    RETRY.0 + (longest - RETRY.0) * u32::from(dice) / u32::from(u16::MAX)
}
