//! The figures of providers, for people and for programs.

use crate::Failure;
use crate::load::Rate;
use crate::machine::Machine;
use crate::report::say;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The part of a room's own rate that restores through the broker should reach, unless the CPU is full.
const AIM: f64 = 0.9;
/// From here on the CPU counts as full.
const FULL: f64 = 0.95;

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    at: u64,
    machine: Machine,
    throughputs: Vec<Throughput>,
    comparisons: Vec<Comparison>,
    disturbances: Vec<Disturbance>,
    restarts: Vec<Restart>,
    rewraps: Vec<Rewrapped>,
}

/// A load on one provider.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    /// Which.
    pub provider: String,
    /// `unwrap`: the room with nothing around it. `restore`: three requests to a broker.
    pub operation: &'static str,
    /// Closed loops at the same time.
    pub clients: usize,
    /// How fast.
    #[serde(flatten)]
    pub rate: Rate,
    /// The share of the machine's CPU in use meanwhile, 0 to 1.
    pub machine_cpu: f64,
}

/// Restores against unwraps of the same provider.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Which.
    pub provider: String,
    /// Closed loops that restored.
    pub clients: usize,
    /// Restores by unwraps, each a second.
    pub ratio: f64,
    /// Median restore less median unwrap, in milliseconds.
    pub added_p50_ms: f64,
    /// The same of the 99th percentiles.
    pub added_p99_ms: f64,
    /// The share of the machine's CPU in use while devices restored, 0 to 1.
    pub machine_cpu: f64,
    /// Against the aim.
    pub verdict: Verdict,
}

/// What keeps restores from being more.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The provider: restores come to 0.9 of its own rate.
    Provider,
    /// The machine has no CPU left.
    CpuFull,
    /// Neither of them.
    Neither,
}

/// One tenant's restores while another's module misbehaved.
#[derive(Debug, Serialize)]
pub struct Disturbance {
    /// What the module did.
    pub fault: &'static str,
    /// The sound tenant's restores before each fault.
    pub healthy: Rate,
    /// And during it.
    pub faulty: Rate,
    /// Faulty by healthy, over all rounds.
    pub p99_ratio: f64,
    /// The same of each round.
    pub p99_ratios: Vec<f64>,
    /// What the unlucky tenant's own clients got through during the fault.
    pub unlucky_per_second: f64,
    /// From the end of each fault to the unlucky tenant's next restore, in milliseconds.
    pub recovered_ms: Vec<f64>,
}

/// After one crash of a settled worker, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Restart {
    /// Until the next process has logged in to the token.
    pub login_ms: f64,
    /// Until the restore under way has succeeded.
    pub restored_ms: f64,
}

/// Records moved from SoftHSM2 to OpenBao.
#[derive(Debug, Serialize)]
pub struct Rewrapped {
    /// How many.
    pub records: usize,
    /// Wrapped anew, a second.
    pub per_second: f64,
    /// Opened once more at the end, a second.
    pub verified_per_second: f64,
    /// Restores of the same tenant before, if there were any.
    pub restores_before: Option<Rate>,
    /// And meanwhile.
    pub restores_beside: Option<Rate>,
}

impl Verdict {
    /// Of a ratio of rates and the machine's CPU in use.
    pub fn of(ratio: f64, machine_cpu: f64) -> Self {
        if ratio >= AIM {
            Self::Provider
        } else if machine_cpu >= FULL {
            Self::CpuFull
        } else {
            Self::Neither
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Provider => "the provider is the limit",
            Self::CpuFull => "the CPU is full",
            Self::Neither => "neither the provider nor the CPU is the limit",
        }
    }
}

impl Report {
    /// Nothing measured yet but the machine.
    pub fn new(machine: Machine) -> Result<Self, Failure> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let (throughputs, comparisons, disturbances) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { at, machine, throughputs, comparisons, disturbances, restarts: Vec::new(), rewraps: Vec::new() })
    }

    /// Says and keeps what a load measured.
    pub fn add(&mut self, load: &Throughput) -> Result<(), Failure> {
        if self.throughputs.is_empty() {
            say(&format!(
                "\n{:<20}{:<10}{:>8}{:>10}{:>9}{:>9}{:>8}",
                "provider", "operation", "clients", "per s", "p50 ms", "p99 ms", "CPU %"
            ))?;
        }
        let Throughput { provider, operation, clients, rate: Rate { per_second, p50_ms, p99_ms }, machine_cpu } = load;
        let cpu = machine_cpu * 100.0;
        say(&format!(
            "{provider:<20}{operation:<10}{clients:>8}{per_second:>10.0}{p50_ms:>9.2}{p99_ms:>9.2}{cpu:>8.0}"
        ))?;
        self.throughputs.push(load.clone());
        Ok(())
    }

    /// Says and keeps how restores compare.
    pub fn compare(&mut self, comparison: Comparison) -> Result<(), Failure> {
        let Comparison { clients, ratio, added_p50_ms, added_p99_ms, machine_cpu, verdict, .. } = &comparison;
        say(&format!(
            "  restores of {clients} clients: {ratio:.3} of the unwraps a second; the broker adds {added_p50_ms:.2} ms \
             (p50), {added_p99_ms:.2} ms (p99); {}, {:.0} %",
            verdict.words(),
            machine_cpu * 100.0
        ))?;
        self.comparisons.push(comparison);
        Ok(())
    }

    /// Says and keeps what a tenant felt of another's module.
    pub fn disturbed(&mut self, disturbance: Disturbance) -> Result<(), Failure> {
        let Disturbance { fault, healthy, faulty, p99_ratio, p99_ratios, unlucky_per_second, recovered_ms } =
            &disturbance;
        say(&format!(
            "another's module {fault}: p50 {:.2} -> {:.2} ms, p99 {:.2} -> {:.2} ms: x {p99_ratio:.2} (rounds: {}); \
             {:.0} -> {:.0} restores/s; the other's own: {unlucky_per_second:.0}/s, back after {} ms",
            healthy.p50_ms,
            faulty.p50_ms,
            healthy.p99_ms,
            faulty.p99_ms,
            listed(p99_ratios, 2),
            healthy.per_second,
            faulty.per_second,
            listed(recovered_ms, 0)
        ))?;
        self.disturbances.push(disturbance);
        Ok(())
    }

    /// Says and keeps how soon a worker was back.
    pub fn restarted(&mut self, restart: Restart) -> Result<(), Failure> {
        let Restart { login_ms, restored_ms } = &restart;
        say(&format!(
            "a worker crashes: the next one has logged in after {login_ms:.0} ms, the restore succeeds after \
             {restored_ms:.0} ms"
        ))?;
        self.restarts.push(restart);
        Ok(())
    }

    /// Says and keeps how fast records moved.
    pub fn rewrapped(&mut self, rewrapped: Rewrapped) -> Result<(), Failure> {
        let Rewrapped { records, per_second, verified_per_second, restores_before, restores_beside } = &rewrapped;
        say(&format!(
            "{records} records from SoftHSM2 to OpenBao: {per_second:.0} a second, verified at {verified_per_second:.0}"
        ))?;
        if let (Some(before), Some(beside)) = (restores_before, restores_beside) {
            say(&format!(
                "  restores beside it: p50 {:.2} -> {:.2} ms, p99 {:.2} -> {:.2} ms, {:.0} -> {:.0} a second",
                before.p50_ms, beside.p50_ms, before.p99_ms, beside.p99_ms, before.per_second, beside.per_second
            ))?;
        }
        self.rewraps.push(rewrapped);
        Ok(())
    }

    /// Writes all of it to `folder`, as JSON.
    pub fn finish(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let path = folder.join(format!("providers-{}.json", self.at));
        fs::write(&path, serde_json::to_vec_pretty(self)?)?;
        Ok(path)
    }
}

fn listed(figures: &[f64], digits: usize) -> String {
    figures.iter().map(|figure| format!("{figure:.digits$}")).collect::<Vec<_>>().join(", ")
}
