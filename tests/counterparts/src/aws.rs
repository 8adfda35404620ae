//! LocalStack and moto: emulators of KMS and STS, each in a process and on a port of its own.

#![expect(clippy::panic, reason = "a test without its emulator fails")]

use reqwest::Client;
use serde_json::{Value, json};
use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

/// The region that all keys are in.
pub const REGION: &str = "eu-central-1";
const ATTEMPTS: usize = 3;

/// A running emulator; killed when dropped.
#[derive(Debug)]
pub struct Emulator {
    process: Child,
    http: Client,
    url: String,
    _folder: TempDir,
}

impl Emulator {
    /// LocalStack (by `localstack_kms.py`), on `[::1]`: on IPv4 it would listen on all addresses, whatever it is told.
    ///
    /// # Panics
    /// When there is none: name the Python of its environment in `KEYFOLD_LOCALSTACK`.
    pub async fn localstack() -> Self {
        Self::start("[::1]", |port, folder| {
            let mut command = python("KEYFOLD_LOCALSTACK", "localstack_kms.py");
            command.env("GATEWAY_LISTEN", format!("[::1]:{port}"));
            command.env("LOCALSTACK_HOST", format!("localhost:{port}")).env("FILESYSTEM_ROOT", folder);
            command.envs([("SERVICES", "kms,sts"), ("DISABLE_EVENTS", "1"), ("SKIP_SSL_CERT_DOWNLOAD", "1")]);
            command.envs([("DNS_ADDRESS", "0"), ("ACTIVATE_PRO", "0")]);
            command
        })
        .await
    }

    /// moto (by `moto_kms.py`), a second opinion.
    ///
    /// # Panics
    /// When there is none: name the Python of its environment in `KEYFOLD_MOTO`.
    pub async fn moto() -> Self {
        Self::start("127.0.0.1", |port, _| {
            let mut command = python("KEYFOLD_MOTO", "moto_kms.py");
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        })
        .await
    }

    /// Another process may take the port first, so a server that ends at once is started again on another.
    async fn start(host: &str, command: impl Fn(u16, &Path) -> Command) -> Self {
        // `reqwest` panics where nobody has chosen a TLS provider. An error here means that somebody has by now.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = Client::builder().no_proxy().build().expect("a client without options can be built");
        for _ in 0..ATTEMPTS {
            let folder = TempDir::new().expect("there is room for a folder");
            let port = free_port(host);
            let mut command = command(port, folder.path());
            command.current_dir(folder.path()).env_remove("AWS_ENDPOINT_URL");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let process = command.spawn().expect("the emulator's Python can be run");
            let url = format!("http://{host}:{port}");
            let mut emulator = Self { process, http: http.clone(), url, _folder: folder };
            if emulator.gets_ready().await {
                return emulator;
            }
        }
        panic!("no emulator of KMS gets ready");
    }

    async fn gets_ready(&mut self) -> bool {
        for _ in 0..1_200 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return false;
            }
            if self.try_call("ListKeys", &json!({})).await.is_some() {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Where it listens: `http://host:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What KMS answers to its owner, past whatever is in front.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn call(&self, operation: &str, body: &Value) -> Value {
        self.try_call(operation, body).await.unwrap_or_else(|| panic!("{operation} is refused"))
    }

    /// As [`Self::call`]; `None` when it refuses.
    pub async fn try_call(&self, operation: &str, body: &Value) -> Option<Value> {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/kms/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = self.http.post(&self.url).header("x-amz-target", format!("TrentService.{operation}"));
        let request = request.header("content-type", "application/x-amz-json-1.1").header("authorization", scope);
        let answer = request.body(body.to_string()).send().await.ok().filter(|answer| answer.status().is_success())?;
        Some(serde_json::from_str(&answer.text().await.ok()?).unwrap_or_default())
    }

    /// A new key of this spec that encrypts; its ARN.
    ///
    /// # Panics
    /// When it is not made.
    pub async fn create_key(&self, spec: &str) -> String {
        let made = self.call("CreateKey", &json!({"KeySpec": spec, "KeyUsage": "ENCRYPT_DECRYPT"})).await;
        made["KeyMetadata"]["Arn"].as_str().expect("a key has an ARN").to_owned()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port(host: &str) -> u16 {
    let listener = TcpListener::bind(format!("{host}:0")).expect("loopback has a port left");
    listener.local_addr().expect("a listener has an address").port()
}

/// A script of this package, run by the Python that a variable names.
fn python(variable: &str, script: &str) -> Command {
    let python = env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set; ./dev test sets it"));
    let mut command = Command::new(PathBuf::from(python));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("aws").join(script));
    command
}
