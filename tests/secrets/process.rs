//! The broker as the kernel sees it.

use crate::harness::Broker;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A running broker's process.
pub(crate) struct Process {
    pid: u32,
    folder: PathBuf,
}

impl Process {
    pub(crate) fn of(broker: &Broker) -> Self {
        Self { pid: broker.pid(), folder: broker.path("") }
    }

    /// The workers that it has started.
    pub(crate) fn children(&self) -> Vec<Self> {
        let found = Command::new("pgrep").args(["--parent", &self.pid.to_string()]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        found.lines().map(|pid| Self { pid: pid.parse().unwrap(), folder: self.folder.clone() }).collect()
    }

    /// A file of `/proc/PID`.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{name}", self.pid)).unwrap()
    }

    /// All memory that it has written to, as gdb's `gcore` dumps it. Only root may.
    pub(crate) fn core(&self) -> Vec<u8> {
        let folder = TempDir::new().unwrap();
        let prefix = folder.path().join("core");
        let done = Command::new("gcore").arg("-o").arg(&prefix).arg(self.pid.to_string()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::read(folder.path().join(format!("core.{}", self.pid))).unwrap()
    }

    /// What a line of a file of `/proc/PID` says after its name.
    pub(crate) fn line(&self, file: &str, name: &str) -> String {
        let text = String::from_utf8(self.read(file)).unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    }

    /// Whose the process is in the eyes of `/proc`.
    pub(crate) fn owner(&self) -> u32 {
        fs::metadata(format!("/proc/{}/environ", self.pid)).unwrap().uid()
    }

    /// Ends it as a crash would.
    pub(crate) fn abort(&self) {
        assert!(Command::new("kill").args(["-ABRT", &self.pid.to_string()]).status().unwrap().success());
        for _ in 0..200 {
            if self.line("status", "State:").starts_with('Z') {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the broker does not end");
    }

    /// Whether there is no core file where the kernel would put it.
    pub(crate) fn left_no_core(&self) -> bool {
        let cwd = std::env::current_dir().unwrap();
        let cores = |folder: &PathBuf| {
            let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| *name == "core" || *name == format!("core.{}", self.pid)).count()
        };
        cores(&cwd) + cores(&self.folder) == 0
    }
}

/// Lets a user without any privilege run this broker.
pub(crate) fn give_to_nobody(broker: &Broker) {
    let folder = broker.path("..");
    for words in [&["chown", "-R", "65534:65534"][..], &["chmod", "711"]] {
        assert!(Command::new(words[0]).args(&words[1..]).arg(&folder).status().unwrap().success());
    }
}
