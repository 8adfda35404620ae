//! Decides which call goes out next. No I/O and no clock, so that tests can play hours in a moment.

use super::Priority;
use super::quota::Quota;
use super::turns::{Turns, Waiter};
use super::window::Window;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Who may call a provider, and who waits for it.
#[derive(Debug)]
pub(super) struct Schedule<W> {
    window: Window,
    quota: Option<Quota>,
    /// Half of the quota: all that background work gets.
    background_quota: Option<Quota>,
    in_use: InUse,
    foreground: Turns<W>,
    background: Turns<W>,
}

#[derive(Debug, Default)]
struct InUse {
    all: usize,
    background: usize,
    /// Of each KEK that ever called.
    by_kek: HashMap<Uuid, usize>,
}

/// Who may call now.
#[derive(Debug)]
pub(super) struct Grant<W> {
    pub(super) kek: Uuid,
    pub(super) priority: Priority,
    pub(super) waiter: W,
}

impl<W: Waiter> Schedule<W> {
    pub(super) fn new(concurrency: usize, per_second: Option<NonZeroU32>, now: Instant) -> Self {
        Self {
            window: Window::new(concurrency, now),
            quota: per_second.map(|rate| Quota::per_second(rate, now)),
            background_quota: per_second.map(|rate| Quota::every(Duration::from_secs(2) / rate.get(), now)),
            in_use: InUse::default(),
            foreground: Turns::default(),
            background: Turns::default(),
        }
    }

    pub(super) fn join(&mut self, kek: Uuid, priority: Priority, waiter: W) {
        self.in_use.by_kek.entry(kek).or_default();
        match priority {
            Priority::Foreground => self.foreground.join(kek, waiter),
            Priority::Background => self.background.join(kek, waiter),
        }
    }

    /// The next one who may call, if anybody may. Background work never goes before a foreground call that could.
    pub(super) fn grant(&mut self, now: Instant) -> Option<Grant<W>> {
        if self.in_use.all >= self.window.allowed() || self.held_until(now).is_some() {
            return None;
        }
        let (share, by_kek) = (self.share(), &self.in_use.by_kek);
        let below = |most: usize| move |kek| by_kek.get(&kek).is_none_or(|calls| *calls < most);
        let next = self.foreground.next(below(share)).map(|next| (Priority::Foreground, next));
        let (priority, (kek, waiter)) = match next {
            Some(next) => next,
            // Of its own KEK's share, too, background work leaves the other half free.
            None if self.leaves_background(now) => {
                (Priority::Background, self.background.next(below((share / 2).max(1)))?)
            }
            None => return None,
        };
        self.take(kek, priority, now);
        Some(Grant { kek, priority, waiter })
    }

    /// A call is over.
    pub(super) fn give_back(&mut self, kek: Uuid, priority: Priority) {
        self.in_use.all -= 1;
        self.in_use.background -= usize::from(priority == Priority::Background);
        if let Some(calls) = self.in_use.by_kek.get_mut(&kek) {
            *calls -= 1;
        }
    }

    /// A call, not yet given back, did not hit the vendor's limit.
    pub(super) fn passed(&mut self, now: Instant) {
        self.window.passed(self.in_use.all, now);
    }

    /// The vendor throttled a call that was `started` then.
    pub(super) fn throttled(&mut self, started: Instant, retry_after: Option<Duration>, now: Instant) {
        self.window.throttled(started, retry_after, now);
    }

    /// Until when the vendor asked to be left alone, if that is after `now`.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.window.paused_until(now)
    }

    /// Until when nobody may call, by the vendor's wish or its quota.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        let by_quota = self.quota.as_ref().map(Quota::ready_at).filter(|ready_at| now < *ready_at);
        self.window.paused_until(now).max(by_quota)
    }

    /// When to look again, if somebody waits for the time to pass rather than for a call to end.
    pub(super) fn next_turn(&self, now: Instant) -> Option<Instant> {
        let background = || self.background_quota.as_ref().map(Quota::ready_at).filter(|ready_at| now < *ready_at);
        match (self.foreground.is_empty(), self.background.is_empty()) {
            (true, true) => None,
            (false, true) => self.held_until(now),
            (true | false, false) => self.held_until(now).or_else(background),
        }
    }

    /// Calls at the same time: those under way, and those allowed.
    pub(super) fn permits(&self) -> (usize, usize) {
        (self.in_use.all, self.window.allowed())
    }

    /// Whether it is calls under way that keep this KEK from calling.
    pub(super) fn is_full_for(&self, kek: Uuid) -> bool {
        let calls = self.in_use.by_kek.get(&kek).copied().unwrap_or_default();
        self.in_use.all >= self.window.allowed() || calls >= self.share()
    }

    /// What one KEK may use at most: half, so that a dead one leaves room for the others. The only one may use all
    /// but one permit, which is there for the next.
    fn share(&self) -> usize {
        let allowed = self.window.allowed();
        if self.in_use.by_kek.len() > 1 { (allowed / 2).max(1) } else { (allowed - 1).max(1) }
    }

    fn leaves_background(&self, now: Instant) -> bool {
        let half = (self.window.allowed() / 2).max(1);
        self.in_use.background < half && self.background_quota.as_ref().is_none_or(|quota| quota.ready_at() <= now)
    }

    fn take(&mut self, kek: Uuid, priority: Priority, now: Instant) {
        self.in_use.all += 1;
        *self.in_use.by_kek.entry(kek).or_default() += 1;
        if let Some(quota) = &mut self.quota {
            quota.spend(now);
        }
        if priority == Priority::Background {
            self.in_use.background += 1;
            if let Some(quota) = &mut self.background_quota {
                quota.spend(now);
            }
        }
    }
}
