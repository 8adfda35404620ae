//! Who waits for a call: each KEK in turn, and for one KEK who came first.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use uuid::Uuid;

/// Somebody who waits for a call.
pub(super) trait Waiter {
    /// Gave up waiting.
    fn is_gone(&self) -> bool;
}

#[derive(Debug)]
pub(super) struct Turns<W> {
    /// Each KEK that somebody waits for, once.
    order: VecDeque<Uuid>,
    waiting: HashMap<Uuid, VecDeque<W>>,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self { order: VecDeque::new(), waiting: HashMap::new() }
    }
}

impl<W: Waiter> Turns<W> {
    pub(super) fn join(&mut self, kek: Uuid, waiter: W) {
        let line = self.waiting.entry(kek).or_insert_with(|| {
            self.order.push_back(kek);
            VecDeque::new()
        });
        line.push_back(waiter);
    }

    /// The next one whose KEK `may_call`. Who gave up is forgotten on the way.
    pub(super) fn next(&mut self, may_call: impl Fn(Uuid) -> bool) -> Option<(Uuid, W)> {
        for _ in 0..self.order.len() {
            let kek = self.order.pop_front()?;
            let Entry::Occupied(mut line) = self.waiting.entry(kek) else { continue };
            while line.get().front().is_some_and(Waiter::is_gone) {
                line.get_mut().pop_front();
            }
            let next = if may_call(kek) { line.get_mut().pop_front() } else { None };
            if line.get().is_empty() {
                line.remove();
            } else {
                self.order.push_back(kek);
            }
            if let Some(waiter) = next {
                return Some((kek, waiter));
            }
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
