//! Servers as processes, and what `/proc` says of them.

use crate::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

/// A process that is killed when this is dropped.
pub struct Server(Child);

impl Server {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Self, Failure> {
        let child = command.spawn();
        child.map(Self).map_err(|error| format!("{}: {error}", command.get_program().display()).into())
    }

    /// Fails when the process has ended.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.0.try_wait()? {
            Some(status) => Err(format!("the server ended with {status}").into()),
            None => Ok(()),
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> Result<(), Failure> {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }

    /// The JSON that its output begins with; the command must pipe it.
    pub fn first_json(&mut self) -> Result<serde_json::Value, Failure> {
        let output = self.0.stdout.take().ok_or("its output is not piped")?;
        let first = serde_json::Deserializer::from_reader(output).into_iter().next();
        Ok(first.ok_or("it says nothing")??)
    }

    /// Its child processes, as `/proc` calls them.
    pub fn children(&self) -> Result<Vec<String>, Failure> {
        let processes = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(processes.filter(|id| stat(id).is_ok_and(|fields| fields.get(1) == Some(&self.id()))).collect())
    }

    /// What `/proc` calls it.
    pub fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// User and system time that a process has used so far; `id` is a process id or `self`.
pub fn cpu_time(id: &str) -> Result<Duration, Failure> {
    // Fields 14 and 15.
    let ticks = stat(id)?.iter().skip(11).take(2).map(|field| field.parse::<u64>()).sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs(1) * u32::try_from(ticks)? / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// Whether a process is there, and no zombie.
pub fn lives(id: &str) -> bool {
    stat(id).is_ok_and(|fields| fields.first().is_some_and(|state| state != "Z" && state != "X"))
}

/// The fields of `/proc/PID/stat` from the third, the state, which is the first after the name.
fn stat(id: &str) -> Result<Vec<String>, Failure> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no fields in /proc/PID/stat")?;
    Ok(fields.split(' ').map(str::to_owned).collect())
}
