//! Other people's implementation, the Python package `aics-witness`: as the witness of our log, and as a log at ours.

use crate::watch::{Watch, broker, configure, entry, until_witnessed};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A program of the oracles' environment.
fn oracle(program: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    venv.join("bin").join(program)
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `aics-witness serve`. Dropping it kills the process.
struct Outside {
    folder: TempDir,
    process: Option<Child>,
    port: u16,
    vkey: String,
}

impl Outside {
    fn start(log: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut outside = Self { folder, process: None, port, vkey: String::new() };
        let listen = format!("127.0.0.1:{port}");
        let printed = run(outside.command().args(["init", "--name", "outside.example/w1", "--listen", &listen]));
        let vkey = printed.split_whitespace().find(|word| word.starts_with("outside.example/w1+"));
        outside.vkey = vkey.unwrap().into();
        let origin = log.split('+').next().unwrap();
        run(outside.command().args(["add-log", "--origin", origin, "--vkey", log]));
        let process = outside.command().arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        outside.process = Some(process.unwrap());
        outside
    }

    fn command(&self) -> Command {
        let mut command = Command::new(oracle("aics-witness"));
        command.env("AICS_WITNESS_CONFIG", self.folder.path().join("witness.json"));
        command
    }

    fn status(&self) -> Value {
        serde_json::from_str(&run(self.command().args(["status", "--json"]))).unwrap()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill();
            process.wait().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn their_witness_cosigns_our_log() {
    let (mut broker, vkey) = broker().await;
    let outside = Outside::start(&vkey);
    broker.stop();
    configure(&broker, &entry("outside", &format!("http://127.0.0.1:{}", outside.port), &outside.vkey, None));
    broker.run(&[]).await;
    until_witnessed(&broker, &vkey).await;
    for number in 0..40 {
        broker.admin_ok("/acme/users", json!({"id": format!("user-{number}")})).await;
    }
    let witnessed = until_witnessed(&broker, &vkey).await;
    let status = outside.status().to_string();
    assert!(status.contains(&format!("\"size\":{}", crate::watch::size(&witnessed))), "{status}");
    // What it knows is asked for when it is not known here.
    broker.stop();
    broker.sql("DELETE FROM cosignatures").await;
    broker.run(&[]).await;
    until_witnessed(&broker, &vkey).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_witness_serves_their_log() {
    let made = json!({"seed": hex::encode([5; 32]), "origin": "outside.example/log"});
    let vkey = run_script(&made, &[])["vkey"].as_str().unwrap().to_owned();
    let watch = Watch::start(&[&vkey]).await;
    let ask = json!({"seed": hex::encode([5; 32]), "origin": "outside.example/log", "url": watch.url(""),
        "ca": watch.ca(), "witness": watch.vkey});
    let told = run_script(&ask, &[]);
    assert_eq!(told["sizes"], json!([1, 5, 8, 300]), "each cosigned, and verified there");
    let expected =
        json!({"stale": 409, "fork": 422, "same size": 422, "unsigned": 403, "unknown": 404, "malformed": 400});
    assert_eq!(told["refused"], expected);
    assert_eq!(told["monitored"], 300, "what the witness shows to anyone");
}

fn run_script(ask: &Value, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/witness_log.py");
    let mut command = Command::new(oracle("python"));
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(ask.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
