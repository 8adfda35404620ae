//! rotel: a real OpenTelemetry collector that prints what it receives, in a process and on ports of its own.

#![expect(clippy::panic, reason = "a test without its collector fails")]

use std::env;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

const ATTEMPTS: usize = 3;

/// A running collector; killed when dropped.
#[derive(Debug)]
pub struct Rotel {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Rotel {
    /// Starts one.
    ///
    /// # Panics
    /// When there is none: name the agent in `KEYFOLD_ROTEL`.
    pub async fn start() -> Self {
        for _ in 0..ATTEMPTS {
            let mut collector = Self::spawn();
            if collector.gets_ready().await {
                return collector;
            }
        }
        panic!("rotel does not get ready");
    }

    /// Another process may take a port first, so a collector that ends at once is started again on others.
    fn spawn() -> Self {
        let agent =
            env::var_os("KEYFOLD_ROTEL").unwrap_or_else(|| panic!("KEYFOLD_ROTEL is not set; ./dev test sets it"));
        let folder = TempDir::new().expect("there is room for a folder");
        let [port, grpc] = free_ports();
        let output = File::create(folder.path().join("output")).expect("there is room for a file");
        let mut command = Command::new(PathBuf::from(agent));
        command.args(["start", "--exporter", "blackhole", "--debug-log", "logs", "--debug-log-verbosity", "detailed"]);
        command.arg(format!("--otlp-http-endpoint=127.0.0.1:{port}"));
        command.arg(format!("--otlp-grpc-endpoint=127.0.0.1:{grpc}"));
        command.arg(format!("--pid-file={}", folder.path().join("pid").display()));
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("rotel: {error}"));
        Self { process, port, folder }
    }

    async fn gets_ready(&mut self) -> bool {
        for _ in 0..600 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has printed.
    #[must_use]
    pub fn output(&self) -> String {
        let output = fs::read(self.folder.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// All that it has printed, as soon as `last` is among it.
    ///
    /// # Panics
    /// When it is not, for half a minute.
    pub async fn output_with(&self, last: &str) -> String {
        for _ in 0..600 {
            let output = self.output();
            if output.contains(last) {
                return output;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the collector never prints {last}");
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let listeners = [0; 2].map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let port = |listener: Option<TcpListener>| listener?.local_addr().ok().map(|address| address.port());
    listeners.map(|listener| port(listener).expect("loopback has a port left"))
}
