//! How long devices waited for what was done for them: by tenant and hour, since the broker's start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Hours that are remembered.
const HOURS: usize = 48;
/// Each bucket ends half as much again after the one before; the first ends at a millisecond, the last after 25 seconds.
const BUCKETS: usize = 26;
const GROWTH: f64 = 1.5;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The wrap of a record.
    Wrap,
    /// The release of a restore.
    Restore,
}

/// Half of all, and all but one in a hundred, took at most so long; in milliseconds, half as much again at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
}

type Histogram = [u64; BUCKETS];

/// All that is remembered.
#[derive(Debug, Default)]
pub struct Latencies(Mutex<HashMap<String, BTreeMap<i64, [Histogram; 2]>>>);

impl Latencies {
    /// Takes note of one that was done for this tenant, in this hour since 1970.
    pub fn record(&self, tenant: &str, hour: i64, operation: Operation, took: Duration) {
        let mut known = self.known();
        let hours = match known.get_mut(tenant) {
            Some(hours) => hours,
            None => known.entry(tenant.to_owned()).or_default(),
        };
        hours.entry(hour).or_insert([[0; BUCKETS]; 2])[operation as usize][bucket(took)] += 1;
        while hours.len() > HOURS {
            hours.pop_first();
        }
    }

    /// How long they took in this hour; nothing where there were none.
    #[must_use]
    pub fn of(&self, tenant: &str, hour: i64, operation: Operation) -> Option<Percentiles> {
        let known = self.known();
        let histogram = &known.get(tenant)?.get(&hour)?[operation as usize];
        Some(Percentiles { p50: at_most(histogram, 50)?, p99: at_most(histogram, 99)? })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<i64, [Histogram; 2]>>> {
        self.0.lock().expect("invariant: nothing panics while holding this lock")
    }
}

/// Where each bucket ends, in milliseconds.
fn ends() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(1.0), |end| Some(end * GROWTH)).take(BUCKETS)
}

fn bucket(took: Duration) -> usize {
    let milliseconds = took.as_secs_f64() * 1_000.0;
    ends().position(|end| milliseconds <= end).unwrap_or(BUCKETS - 1)
}

/// Where the bucket ends below which so many percent are.
fn at_most(histogram: &Histogram, percent: u64) -> Option<u64> {
    let total: u64 = histogram.iter().sum();
    let due = (total * percent).div_ceil(100);
    let mut below = 0;
    let reaches = |(count, _): &(&u64, f64)| {
        below += **count;
        below >= due
    };
    let (_, end) = histogram.iter().zip(ends()).find(reaches).filter(|_| total > 0)?;
    Some(end.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::{HOURS, Latencies, Operation, Percentiles};
    use std::time::Duration;

    #[test]
    fn percentiles_are_within_half_as_much_again() {
        let latencies = Latencies::default();
        for milliseconds in 1..=100 {
            latencies.record("acme", 7, Operation::Wrap, Duration::from_millis(milliseconds));
        }
        let Percentiles { p50, p99 } = latencies.of("acme", 7, Operation::Wrap).unwrap();
        assert!((50..=75).contains(&p50) && (99..=149).contains(&p99), "{p50} {p99}");
        assert_eq!(latencies.of("acme", 7, Operation::Restore), None);
        assert_eq!(latencies.of("other", 7, Operation::Wrap), None);
    }

    #[test]
    fn what_is_long_past_is_forgotten_and_what_takes_for_ever_is_counted() {
        let latencies = Latencies::default();
        for hour in 0..=HOURS as i64 {
            latencies.record("acme", hour, Operation::Restore, Duration::from_secs(3_600));
        }
        assert_eq!(latencies.of("acme", 0, Operation::Restore), None);
        assert_eq!(latencies.of("acme", 1, Operation::Restore).map(|took| took.p50), Some(25_252));
    }
}
