//! LocalStack and moto: emulators of KMS and STS, each on a port of its own.

use keyfold_providers::KeyRef;
use keyfold_providers::aws_kms::{AwsKms, Options};
use serde_json::{Value, json};
use std::env;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

pub(crate) const REGION: &str = "eu-central-1";
const ATTEMPTS: usize = 3;

/// A running emulator; killed when dropped.
pub(crate) struct Server {
    process: Child,
    http: reqwest::Client,
    pub(crate) url: String,
    _folder: TempDir,
}

impl Server {
    /// LocalStack (by `localstack_kms.py`), on `[::1]`: on IPv4 it would listen on all addresses, whatever it is told.
    ///
    /// # Panics
    /// When there is none: name the Python of its environment in KEYFOLD_LOCALSTACK.
    pub(crate) async fn localstack() -> Self {
        Self::start("[::1]", |port, folder| {
            let mut command = Command::new(program("KEYFOLD_LOCALSTACK"));
            command.arg(script("localstack_kms.py")).env("GATEWAY_LISTEN", format!("[::1]:{port}"));
            command.env("LOCALSTACK_HOST", format!("localhost:{port}")).env("FILESYSTEM_ROOT", folder.path());
            command.envs([("SERVICES", "kms,sts"), ("DISABLE_EVENTS", "1"), ("SKIP_SSL_CERT_DOWNLOAD", "1")]);
            command.envs([("DNS_ADDRESS", "0"), ("ACTIVATE_PRO", "0")]);
            command
        })
        .await
    }

    /// moto (by `moto_kms.py`), a second opinion.
    ///
    /// # Panics
    /// When there is none: name the Python of its environment in KEYFOLD_MOTO.
    pub(crate) async fn moto() -> Self {
        Self::start("127.0.0.1", |port, _| {
            let mut command = Command::new(program("KEYFOLD_MOTO"));
            command.arg(script("moto_kms.py")).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        })
        .await
    }

    /// Another process may take the port first, so a server that ends at once is started again on another.
    async fn start(host: &str, command: impl Fn(u16, &TempDir) -> Command) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().unwrap();
            let port = TcpListener::bind(format!("{host}:0")).unwrap().local_addr().unwrap().port();
            let mut command = command(port, &folder);
            command.current_dir(folder.path()).env_remove("AWS_ENDPOINT_URL");
            let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let url = format!("http://{host}:{port}");
            let mut server = Self { process, http: http.clone(), url, _folder: folder };
            if server.gets_ready().await {
                return server;
            }
        }
        panic!("no emulator of KMS gets ready");
    }

    async fn gets_ready(&mut self) -> bool {
        for _ in 0..600 {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            if self.try_admin("ListKeys", json!({})).await.is_some() {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// As the room sees it.
    pub(crate) async fn connect(&self) -> AwsKms {
        connect_to(&self.url).await
    }

    /// A call of KMS's API past the room; its answer.
    pub(crate) async fn admin(&self, operation: &str, body: Value) -> Value {
        self.try_admin(operation, body).await.unwrap_or_else(|| panic!("{operation} is refused"))
    }

    /// As `admin`; `None` when the server refuses.
    pub(crate) async fn try_admin(&self, operation: &str, body: Value) -> Option<Value> {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/kms/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = self.http.post(&self.url).header("x-amz-target", format!("TrentService.{operation}"));
        let request = request.header("content-type", "application/x-amz-json-1.1").header("authorization", scope);
        let answer = request.body(body.to_string()).send().await.ok().filter(|answer| answer.status().is_success())?;
        Some(serde_json::from_str(&answer.text().await.ok()?).unwrap_or_default())
    }

    /// A new key of this spec that encrypts; its ARN.
    pub(crate) async fn key(&self, spec: &str) -> KeyRef {
        let made = self.admin("CreateKey", json!({"KeySpec": spec, "KeyUsage": "ENCRYPT_DECRYPT"})).await;
        KeyRef::new(made["KeyMetadata"]["Arn"].as_str().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Under the identity of the environment.
pub(crate) async fn connect_to(url: &str) -> AwsKms {
    let options = Options { region: REGION.to_owned(), endpoint: Some(url.to_owned()), ..Options::default() };
    AwsKms::connect(options).await.unwrap()
}

/// The program that an environment variable names.
pub(crate) fn program(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; ./dev test sets it"))
}

/// The path of a script beside this file.
pub(crate) fn script(name: &str) -> String {
    format!("{}/tests/aws_kms/{name}", env!("CARGO_MANIFEST_DIR"))
}
