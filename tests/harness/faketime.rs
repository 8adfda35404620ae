//! A broker whose clock is set by a file: libfaketime.

use super::Broker;
use std::path::PathBuf;
use std::{env, fs};

/// Debian's; another one can be named in KEYFOLD_FAKETIME.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// What follows the wall clock when that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopwatch {
    /// Nothing, as when somebody sets a machine's clock.
    Steady,
    /// The monotonic clock, as when time passes. Waits in the system's calls still take their time: whoever sleeps sees that it is
    /// late at its next wake.
    Follows,
}

/// The clock of one broker.
#[derive(Debug)]
pub struct FakeClock {
    file: PathBuf,
    stopwatch: Stopwatch,
}

impl FakeClock {
    /// Shows the real time, shifted by `shift` (`+6m`, `-3600`).
    pub fn new(broker: &Broker, stopwatch: Stopwatch, shift: &str) -> Self {
        let clock = Self { file: broker.path("shift"), stopwatch };
        clock.set(shift);
        clock
    }

    /// Shows another time from now on.
    pub fn set(&self, shift: &str) {
        let new = self.file.with_extension("new");
        fs::write(&new, shift).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// Runs the broker with this clock.
    pub async fn run(&self, broker: &mut Broker) {
        let (preload, file) = (preload(), format!("FAKETIME_TIMESTAMP_FILE={}", self.file.display()));
        let wrapper = ["env", &preload, &file, "FAKETIME_NO_CACHE=1", self.stopwatch.variable()];
        broker.run(&wrapper).await;
    }
}

impl Stopwatch {
    fn variable(self) -> &'static str {
        match self {
            Self::Steady => "FAKETIME_DONT_FAKE_MONOTONIC=1",
            Self::Follows => "FAKETIME_DONT_FAKE_MONOTONIC=0",
        }
    }
}

/// The environment variable that puts the library under a program.
fn preload() -> String {
    let library = env::var("KEYFOLD_FAKETIME").unwrap_or_else(|_| LIBRARY.into());
    assert!(fs::exists(&library).unwrap(), "{library} is missing: install faketime");
    format!("LD_PRELOAD={library}")
}
