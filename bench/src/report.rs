//! The figures, for people and for programs.

use crate::Failure;
use crate::load::Measured;
use crate::machine::Machine;
use serde::Serialize;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Unix seconds.
    pub at: u64,
    /// Where.
    pub machine: Machine,
    /// What the ratios are to.
    pub baseline: String,
    /// Each load.
    pub loads: Vec<Measured>,
    /// Restores against the baseline's operations, for equal numbers of clients.
    pub ratios: Vec<Ratio>,
    /// Durable leaves a second.
    pub leaves: Option<Leaves>,
    /// Start and memory.
    pub footprint: Option<Footprint>,
    /// What a larger database costs.
    pub growth: Vec<Growth>,
}

/// A whole restore in units of one operation of the baseline.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// The server and its provider.
    pub server: &'static str,
    /// Closed loops at the same time.
    pub clients: usize,
    /// Server CPU time, ours by theirs.
    pub cpu: f64,
    /// Operations a second, ours by theirs.
    pub per_second: f64,
}

/// Durable leaves a second.
#[derive(Debug, Serialize)]
pub struct Leaves {
    /// Through HTTPS, from 256 devices that ask for restores.
    pub over_https: f64,
    /// Straight into the committer (`keyfold bench`).
    pub committer: f64,
}

/// What a broker needs before it does anything.
#[derive(Debug, Serialize)]
pub struct Footprint {
    /// From the start of the process to the first answer of `/readyz`, in milliseconds, sorted.
    pub ready_ms: Vec<f64>,
    /// Resident memory two seconds after the start, in MiB.
    pub idle_mib: f64,
    /// Resident memory after a load of restores with 100,000 records in the database, in MiB.
    pub loaded_mib: f64,
}

/// The median restore in a small and in a large database, measured in turns.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// Closed loops at the same time.
    pub clients: usize,
    /// Records in the small database, and the median in milliseconds.
    pub small: (i64, f64),
    /// The same of the large one.
    pub large: (i64, f64),
    /// Large by small.
    pub ratio: f64,
}

impl Report {
    /// Nothing measured yet but the machine.
    pub fn new(machine: Machine, baseline: String) -> Result<Self, Failure> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let (loads, ratios, growth) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { at, machine, baseline, loads, ratios, leaves: None, footprint: None, growth })
    }

    /// Says and keeps what a load measured.
    pub fn add(&mut self, load: Measured) -> Result<(), Failure> {
        if self.loads.is_empty() {
            say(&format!(
                "\n{:<19}{:<10}{:>8}{:>10}{:>9}{:>9}{:>12}{:>12}",
                "server", "operation", "clients", "per s", "p50 ms", "p99 ms", "server us", "client us"
            ))?;
        }
        say(&format!(
            "{:<19}{:<10}{:>8}{:>10.0}{:>9.2}{:>9.2}{:>12.0}{:>12.0}",
            load.server,
            load.operation,
            load.clients,
            load.rate.per_second,
            load.rate.p50_ms,
            load.rate.p99_ms,
            load.server_cpu_us,
            load.client_cpu_us
        ))?;
        self.loads.push(load);
        Ok(())
    }

    /// Compares every load of restores with the baseline's load of as many clients.
    pub fn compare(&mut self, baseline: &str) {
        let of = |clients| self.loads.iter().find(move |load| load.server == baseline && load.clients == clients);
        let restores = self.loads.iter().filter(|load| load.operation == "restore");
        let ratios = restores.filter_map(|load| {
            let theirs = of(load.clients)?;
            let cpu = load.server_cpu_us / theirs.server_cpu_us;
            let per_second = load.rate.per_second / theirs.rate.per_second;
            Some(Ratio { server: load.server, clients: load.clients, cpu, per_second })
        });
        self.ratios = ratios.collect();
    }

    /// Says what the loads do not, and writes all of it to `folder`, as JSON.
    pub fn finish(&self, folder: &Path) -> Result<PathBuf, Failure> {
        say(&format!("\na whole restore (3 requests, 4 durable leaves) in units of one {}:", self.baseline))?;
        for Ratio { server, clients, cpu, per_second } in &self.ratios {
            say(&format!("  {server}, {clients} clients: {cpu:.1} x server CPU, {per_second:.3} x per second"))?;
        }
        if let Some(Leaves { over_https, committer }) = &self.leaves {
            say(&format!(
                "durable leaves per second: {over_https:.0} over HTTPS, {committer:.0} in the committer alone"
            ))?;
        }
        if let Some(Footprint { ready_ms, idle_mib, loaded_mib }) = &self.footprint {
            let median = ready_ms[ready_ms.len() / 2];
            say(&format!("ready after {median:.0} ms (median of {})", ready_ms.len()))?;
            say(&format!(
                "resident memory: {idle_mib:.0} MiB idle, {loaded_mib:.0} MiB after load on 100,000 records"
            ))?;
        }
        for Growth { clients, small, large, ratio } in &self.growth {
            say(&format!(
                "median restore, {clients} clients: {:.2} ms with {} records, {:.2} ms with {}: x {ratio:.2}",
                small.1, small.0, large.1, large.0
            ))?;
        }
        let path = folder.join(format!("{}.json", self.at));
        fs::write(&path, serde_json::to_vec_pretty(self)?)?;
        Ok(path)
    }
}

/// One line on standard output.
pub fn say(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    Ok(writeln!(out, "{line}")?)
}
