//! A real OpenBao in development mode, with a transit engine.

use reqwest::Method;
use serde_json::{Value, json};
use std::env;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What it takes as the root token.
pub const BAO_TOKEN: &str = "the-root-token-of-openbao";

/// Dropping it kills the process.
pub struct Bao {
    process: Child,
    pub port: u16,
}

impl Bao {
    /// A server that is ready; `KEYFOLD_BAO` names the program.
    pub async fn start() -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let bao = env::var("KEYFOLD_BAO").expect("KEYFOLD_BAO names OpenBao's `bao`");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(bao)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={BAO_TOKEN}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bao = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while bao.call(Method::GET, "sys/health", Value::Null).await.is_none() {
            assert!(Instant::now() < deadline, "bao does not get ready");
            sleep(Duration::from_millis(50)).await;
        }
        bao.call(Method::POST, "sys/mounts/transit", json!({"type": "transit"})).await.unwrap();
        bao
    }

    /// A call with the root token; `None` when it is not answered with a success.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Option<Value> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.request(method, format!("http://127.0.0.1:{}/v1/{path}", self.port));
        let answer = request.header("X-Vault-Token", BAO_TOKEN).json(&body).send().await.ok()?;
        answer.status().is_success().then_some(answer.json().await.unwrap_or_default())
    }

    /// The provider `bao` of a broker's configuration, reached by this port.
    pub fn provider(port: u16) -> String {
        format!(
            "\n[providers.bao]\ntype = \"openbao\"\naddress = \"http://127.0.0.1:{port}\"\n\
             login = {{ method = \"token\", token = {{ env = \"BAO\" }} }}\ncalls = {{ deadline_ms = 5000, concurrency = 16 }}\n"
        )
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
