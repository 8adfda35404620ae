//! chromedriver in a process group and a folder of its own, on a port that it finds itself.

#![expect(clippy::panic, reason = "a test without its browser fails")]

use rustix::process::{Pid, Signal, kill_process_group};
use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

/// What it prints as soon as it listens; the port follows.
const READY: &str = "started successfully on port ";

/// A running chromedriver. Dropping it kills it; its browsers end with it, because their pipe ends.
#[derive(Debug)]
pub(super) struct Driver {
    process: Child,
    folder: TempDir,
}

impl Driver {
    /// Starts one. What browsers write goes into its folder.
    pub(super) fn start() -> Self {
        let driver = env::var_os("KEYFOLD_CHROMEDRIVER");
        let driver = driver.unwrap_or_else(|| panic!("KEYFOLD_CHROMEDRIVER is not set; ./dev test sets it"));
        let folder = TempDir::new().expect("there is room for a folder");
        let output = File::create(folder.path().join("output")).expect("there is room for a file");
        let mut command = Command::new(driver);
        command.arg("--port=0").stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
        command.env("HOME", folder.path()).env("TMPDIR", folder.path()).process_group(0);
        let process = command.spawn().unwrap_or_else(|error| panic!("chromedriver: {error}"));
        Self { process, folder }
    }

    pub(super) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// `http://127.0.0.1:port`, as soon as it listens there.
    pub(super) async fn url(&mut self) -> String {
        for _ in 0..600 {
            let output = fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
            let port = output.split_once(READY).and_then(|(_, rest)| rest.split_once('.'));
            if let Some((port, _)) = port {
                return format!("http://127.0.0.1:{port}");
            }
            assert!(matches!(self.process.try_wait(), Ok(None)), "chromedriver has ended: {output}");
            sleep(Duration::from_millis(20)).await;
        }
        panic!("chromedriver does not get ready");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}
