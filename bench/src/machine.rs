//! The machine that the figures are of.

use crate::Failure;
use serde::Serialize;
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

/// What the figures depend on.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Cores that servers and load generator share.
    pub cores: usize,
    /// As `/proc/cpuinfo` names it.
    pub cpu: String,
    /// As `/proc` names it.
    pub kernel: String,
    /// MiB.
    pub memory_mib: u64,
    /// One `fdatasync` after 4 KiB more in a file of the measured folder: the median of 100, in milliseconds.
    pub fdatasync_p50_ms: f64,
    /// The 90th of those 100, in milliseconds.
    pub fdatasync_p90_ms: f64,
}

impl Machine {
    /// Looks, and measures the disk of `folder`.
    pub fn look(folder: &Path) -> Result<Self, Failure> {
        let synced = fdatasync_times(folder)?;
        let kib: u64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
        Ok(Self {
            cores: available_parallelism()?.into(),
            cpu: field("/proc/cpuinfo", "model name")?,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().into(),
            memory_mib: kib / 1024,
            fdatasync_p50_ms: synced[50],
            fdatasync_p90_ms: synced[90],
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, cpu, kernel, memory_mib, fdatasync_p50_ms, fdatasync_p90_ms } = self;
        write!(
            f,
            "{cores} cores for servers and load generator together ({cpu}), {memory_mib} MiB, Linux {kernel}, \
             fdatasync {fdatasync_p50_ms:.2} ms (p90 {fdatasync_p90_ms:.2} ms)"
        )
    }
}

/// Ticks of all cores since the machine was started.
#[derive(Debug, Clone, Copy)]
pub struct CpuTime {
    idle: u64,
    all: u64,
}

impl CpuTime {
    /// As `/proc/stat` has it.
    pub fn now() -> Result<Self, Failure> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().find_map(|line| line.strip_prefix("cpu ")).ok_or("no `cpu` in /proc/stat")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in user and nice already.
        let ticks = line.split_whitespace().take(8).map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        Ok(Self { idle: ticks.iter().skip(3).take(2).sum(), all: ticks.iter().sum() })
    }

    /// The share of all cores that was in use, by whomever, since `earlier`: 0 to 1.
    pub fn busy_since(self, earlier: Self) -> f64 {
        1.0 - (self.idle - earlier.idle) as f64 / (self.all - earlier.all).max(1) as f64
    }
}

fn field(file: &str, name: &str) -> Result<String, Failure> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    Ok(line.map_or_else(String::new, |(_, value)| value.trim().into()))
}

/// The sorted times of 100, in milliseconds.
fn fdatasync_times(folder: &Path) -> Result<Vec<f64>, Failure> {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(100);
    for _ in 0..100 {
        file.write_all(&[1; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path)?;
    times.sort_unstable_by(f64::total_cmp);
    Ok(times)
}
