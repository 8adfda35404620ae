//! How fast the log may be read by whom nobody waits for. While nothing is written: at will. While the logs grow: twice as
//! fast as they do, so that whoever is behind catches up, and in small steps, so that a sink that comes back after an hour is
//! not felt by those who restore meanwhile.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// So many events a second may be read by all readers together, however slowly the logs grow.
const LEAST: f64 = 2_000.0;
/// As fast as the logs grow, so many times, for each reader: more than once, or nobody would ever catch up.
const SURPLUS: f64 = 2.0;
/// Over this time growth is averaged.
const MEMORY: Duration = Duration::from_secs(2);
/// Below so many events a second nobody is served: a heartbeat, or what a sink says of itself.
const QUIET: f64 = 1.0;
/// Events that are read at once, while the logs grow.
const STEP: u64 = 25;

/// The pace of all readers together.
#[derive(Debug)]
pub struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    readers: u32,
    growth: Growth,
    /// When what was read so far has been paid for.
    free: Instant,
}

/// Events a second, as of a moment.
#[derive(Debug, Clone, Copy)]
struct Growth {
    per_second: f64,
    at: Instant,
}

impl Growth {
    fn at(self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.per_second * (-passed / MEMORY.as_secs_f64()).exp()
    }
}

impl Pace {
    /// Nothing has grown, and nobody reads.
    #[must_use]
    pub fn starting_at(now: Instant) -> Arc<Self> {
        let growth = Growth { per_second: 0.0, at: now };
        Arc::new(Self(Mutex::new(State { readers: 0, growth, free: now })))
    }

    /// So many events were written.
    pub fn grown(&self, events: usize, now: Instant) {
        let mut state = self.state();
        let per_second = state.growth.at(now) + events as f64 / MEMORY.as_secs_f64();
        state.growth = Growth { per_second, at: now };
    }

    /// One more who reads, until it is dropped.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Arc<Reader> {
        self.state().readers += 1;
        Arc::new(Reader(self.clone()))
    }

    /// How many events may be read at once; `None` while nobody is served.
    fn step(&self, now: Instant) -> Option<u64> {
        (self.state().growth.at(now) >= QUIET).then_some(STEP)
    }

    /// Until when whoever has read so many events rests.
    fn rest(&self, events: u64, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let growth = state.growth.at(now);
        if growth < QUIET {
            return None;
        }
        let per_second = LEAST.max(growth * SURPLUS * f64::from(state.readers));
        state.free = state.free.max(now) + Duration::from_secs_f64(events as f64 / per_second);
        Some(state.free)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("invariant: nothing panics while holding this lock")
    }
}

/// Somebody who reads the log for whom nobody waits.
#[derive(Debug)]
pub struct Reader(Arc<Pace>);

impl Reader {
    /// How many events to read now, of the `most` that it would.
    #[must_use]
    pub fn step(&self, most: u64) -> u64 {
        self.0.step(Instant::now()).map_or(most, |step| step.min(most))
    }

    /// Rests, if devices are served, as long as so many events are worth.
    pub async fn rest(&self, events: u64) {
        if let Some(until) = self.0.rest(events, Instant::now()) {
            sleep_until(until.into()).await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.state().readers -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST, Pace, STEP};
    use std::time::{Duration, Instant};

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn nobody_rests_while_nobody_is_served() {
        let now = Instant::now();
        let pace = Pace::starting_at(now);
        let _reader = pace.reader();
        assert_eq!((pace.step(now), pace.rest(10_000, now)), (None, None));
        pace.grown(1, now);
        assert_eq!(pace.rest(10_000, now), None, "one event is a heartbeat");
        pace.grown(1_000, now);
        assert_eq!(pace.step(now), Some(STEP));
        assert!(pace.rest(1, now).is_some());
        assert_eq!(pace.rest(10_000, now + seconds(20.0)), None, "served no more");
    }

    #[test]
    fn whoever_is_behind_catches_up_however_fast_the_logs_grow() {
        for growth in [100, 10_000] {
            let begun = Instant::now();
            let pace = Pace::starting_at(begun);
            let readers = [pace.reader(), pace.reader(), pace.reader()];
            // Ten seconds of growth, a hundred times a second.
            let end = begun + seconds(10.0);
            (1..=1_000).for_each(|step| pace.grown(growth / 100, begun + seconds(f64::from(step) * 0.01)));
            let mut read = 0;
            while pace.rest(STEP, end).unwrap() < end + seconds(1.0) {
                read += STEP;
            }
            let wanted = LEAST.max(growth as f64 * 2.0 * readers.len() as f64);
            assert!((read as f64 / wanted - 1.0).abs() < 0.05, "{read} events in a second, not {wanted}");
        }
    }

    #[test]
    fn who_rested_long_has_saved_nothing_up() {
        let now = Instant::now();
        let pace = Pace::starting_at(now);
        let _reader = pace.reader();
        pace.grown(100_000, now);
        let later = now + seconds(1.0);
        assert!(pace.rest(STEP, later).unwrap() > later);
    }
}
