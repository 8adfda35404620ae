//! The machine that the figures are of.

use crate::Failure;
use serde::Serialize;
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
