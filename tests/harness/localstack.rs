//! LocalStack's KMS, on a port of its own.

use reqwest::Client;
use serde_json::{Value, json};
use std::env;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// What a broker under test is run by, to have credentials and nothing else of AWS.
pub const AWS_ENVIRONMENT: [&str; 5] = [
    "env",
    "AWS_ACCESS_KEY_ID=test",
    "AWS_SECRET_ACCESS_KEY=test",
    "AWS_EC2_METADATA_DISABLED=true",
    "HOME=/nonexistent",
];

/// Dropping it kills the process.
pub struct LocalStack {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl LocalStack {
    /// A server that is ready; `KEYFOLD_LOCALSTACK` names the Python of its environment.
    pub async fn start() -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let python = env::var("KEYFOLD_LOCALSTACK").expect("KEYFOLD_LOCALSTACK names the Python of LocalStack");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/tests/aws_kms/localstack_kms.py");
        let folder = TempDir::new().unwrap();
        // Only in its IPv6 form does LocalStack heed the address.
        let port = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(python)
            .arg(script)
            .current_dir(folder.path())
            .env("GATEWAY_LISTEN", format!("[::1]:{port}"))
            .env("LOCALSTACK_HOST", format!("localhost:{port}"))
            .env("FILESYSTEM_ROOT", folder.path())
            .envs([("SERVICES", "kms,sts"), ("DISABLE_EVENTS", "1"), ("SKIP_SSL_CERT_DOWNLOAD", "1")])
            .envs([("DNS_ADDRESS", "0"), ("ACTIVATE_PRO", "0")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self { process, url: format!("http://[::1]:{port}"), _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while started.call("ListKeys", json!({})).await.is_none() {
            assert!(Instant::now() < deadline, "LocalStack does not get ready");
            sleep(Duration::from_millis(100)).await;
        }
        started
    }

    /// A call of KMS's API; `None` when it is not answered with a success.
    pub async fn call(&self, operation: &str, body: Value) -> Option<Value> {
        let scope =
            "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0";
        let request = Client::builder().no_proxy().build().unwrap().post(&self.url).header("authorization", scope);
        let request = request.header("x-amz-target", format!("TrentService.{operation}"));
        let request = request.header("content-type", "application/x-amz-json-1.1").body(body.to_string());
        let answer = request.send().await.ok().filter(|answer| answer.status().is_success())?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    /// The provider `aws` of a broker's configuration.
    pub fn provider(&self) -> String {
        format!("\n[providers.aws]\ntype = \"aws_kms\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\n", self.url)
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
