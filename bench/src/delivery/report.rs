//! The figures of delivery, for people and for programs.

use crate::Failure;
use crate::load::Rate;
use crate::machine::Machine;
use crate::report::say;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    at: u64,
    machine: Machine,
    events: u64,
    deliveries: Vec<Delivered>,
    restores: Vec<Felt>,
}

/// A whole log, delivered.
#[derive(Debug, Serialize)]
pub struct Delivered {
    /// To what; `findings` are the rules.
    pub receiver: &'static str,
    /// Events a second.
    pub per_second: f64,
    /// The broker's resident memory in MiB, from the first event to the last.
    pub resident_mib: Vec<f64>,
}

/// Restores under one condition.
#[derive(Debug, Serialize)]
pub struct Felt {
    /// What happened beside them.
    pub condition: String,
    /// Restores a second, over all rounds.
    pub per_second: f64,
    /// The median of a restore in each round, in milliseconds.
    pub p50_ms: Vec<f64>,
    /// The 99th percentile in each round, in milliseconds.
    pub p99_ms: Vec<f64>,
    /// Events still to be delivered or looked at when each round ended.
    pub lag_events: Vec<f64>,
}

impl Felt {
    /// Of each round: the restores, and what was left to be delivered.
    pub fn new(condition: &str, rounds: &[(Rate, f64)]) -> Self {
        let figures = |of: fn(&Rate) -> f64| rounds.iter().map(|(rate, _)| of(rate)).collect::<Vec<_>>();
        Self {
            condition: condition.into(),
            per_second: figures(|rate| rate.per_second).iter().sum::<f64>() / rounds.len() as f64,
            p50_ms: figures(|rate| rate.p50_ms),
            p99_ms: figures(|rate| rate.p99_ms),
            lag_events: rounds.iter().map(|(_, lag)| *lag).collect(),
        }
    }

    fn p99(&self) -> f64 {
        median(&self.p99_ms)
    }
}

impl Report {
    /// Nothing measured yet but the machine.
    pub fn new(machine: Machine, events: u64) -> Result<Self, Failure> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Self { at, machine, events, deliveries: Vec::new(), restores: Vec::new() })
    }

    /// Says and keeps how fast a log was delivered.
    pub fn delivered(&mut self, delivered: Delivered) -> Result<(), Failure> {
        if self.deliveries.is_empty() {
            say(&format!(
                "\n{} events to{:>24}{:>12}{:>12}{:>12}",
                self.events, "events/s", "first MiB", "last MiB", "most MiB"
            ))?;
        }
        let Delivered { receiver, per_second, resident_mib } = &delivered;
        let ends = [resident_mib.first(), resident_mib.last()].map(|mib| mib.copied().unwrap_or(f64::NAN));
        let most = resident_mib.iter().copied().fold(f64::NAN, f64::max);
        say(&format!("{receiver:<24}{per_second:>15.0}{:>12.0}{:>12.0}{most:>12.0}", ends[0], ends[1]))?;
        self.deliveries.push(delivered);
        Ok(())
    }

    /// Says and keeps what restores felt; the first condition is what the others are compared with.
    pub fn felt(&mut self, felt: Felt) -> Result<(), Failure> {
        let ratio = self.restores.first().map_or(1.0, |first| felt.p99() / first.p99());
        let lag: Vec<_> = felt.lag_events.iter().map(|lag| format!("{lag:.0}")).collect();
        say(&format!(
            "restores beside {}: {:.0} a second, p50 {:.2} ms, p99 {:.2} ms: x {ratio:.2}; events left in each round: {}",
            felt.condition,
            felt.per_second,
            median(&felt.p50_ms),
            felt.p99(),
            lag.join(", ")
        ))?;
        self.restores.push(felt);
        Ok(())
    }

    /// Writes all of it to `folder`, as JSON.
    pub fn finish(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let path = folder.join(format!("delivery-{}.json", self.at));
        fs::write(&path, serde_json::to_vec_pretty(self)?)?;
        Ok(path)
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
