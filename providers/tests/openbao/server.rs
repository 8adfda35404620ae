//! A real `bao` in development mode, with TLS, on a port of its own.

use keyfold_providers::openbao::{ConnectError, OpenBao, Options};
use reqwest::{Certificate, Method};
use secret::Secret;
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

const ROOT: &str = "root-token";

pub(crate) struct Server {
    process: Child,
    http: reqwest::Client,
    address: String,
    ca_pem: Vec<u8>,
    _folder: TempDir,
}

impl Server {
    /// A server with a transit engine that holds the keys `first` and `second`.
    ///
    /// # Panics
    /// When there is no `bao`: name it in KEYFOLD_BAO, or have it on the PATH.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let bao = env::var_os("KEYFOLD_BAO").unwrap_or_else(|| "bao".into());
        let process = Command::new(&bao)
            .args(["server", "-dev-tls", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-dev-tls-cert-dir={}", folder.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; set KEYFOLD_BAO to OpenBao's `bao`", bao.display()));
        let ca_pem = authority(&folder).await;
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder()
            .tls_certs_only(Certificate::from_pem_bundle(&ca_pem).unwrap())
            .no_proxy()
            .build()
            .unwrap();
        let server = Self { process, http, address: format!("https://127.0.0.1:{port}"), ca_pem, _folder: folder };
        server.wait_until_ready().await;
        server.admin(Method::POST, "sys/mounts/team/transit", json!({"type": "transit"})).await;
        for name in ["first", "second"] {
            server.admin(Method::POST, &format!("team/transit/keys/{name}"), json!({})).await;
        }
        server
    }

    pub(crate) async fn connect(&self) -> OpenBao {
        self.connect_with(ROOT, Some(self.ca_pem.clone())).await.unwrap()
    }

    pub(crate) async fn connect_with(&self, token: &str, ca_pem: Option<Vec<u8>>) -> Result<OpenBao, ConnectError> {
        let (address, mount) = (self.address.clone(), "team/transit".to_owned());
        let token = Secret::copied_from(token.as_bytes());
        OpenBao::connect(Options { address, mount, namespace: None, token, ca_pem }).await
    }

    /// As `connect`, with a new token that has `policy` and lives `ttl`.
    pub(crate) async fn connect_as(&self, policy: &str, ttl: &str) -> OpenBao {
        self.admin(Method::POST, "sys/policies/acl/test", json!({ "policy": policy })).await;
        let token = json!({"policies": ["test"], "ttl": ttl, "no_parent": true});
        let token = self.admin(Method::POST, "auth/token/create", token).await;
        let token = token["auth"]["client_token"].as_str().unwrap();
        self.connect_with(token, Some(self.ca_pem.clone())).await.unwrap()
    }

    /// A call with the root token; its answer, or null where there is none.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        self.try_admin(method, path, body).await.unwrap_or_else(|| panic!("{path} is refused"))
    }

    /// As `admin`; `None` when the server refuses.
    pub(crate) async fn try_admin(&self, method: Method, path: &str, body: Value) -> Option<Value> {
        let request = self.http.request(method, format!("{}/v1/{path}", self.address));
        let response = request.header("X-Vault-Token", ROOT).json(&body).send().await.unwrap();
        response.status().is_success().then_some(response.json().await.unwrap_or_default())
    }

    async fn wait_until_ready(&self) {
        let health = format!("{}/v1/sys/health", self.address);
        for _ in 0..100 {
            match self.http.get(&health).send().await {
                Ok(response) if response.status().is_success() => return,
                Ok(_) | Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("bao does not get ready");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn authority(folder: &TempDir) -> Vec<u8> {
    for _ in 0..100 {
        let found = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        for path in found.filter(|path| path.to_string_lossy().ends_with("-ca.pem")) {
            let pem = fs::read(path).unwrap();
            if pem.ends_with(b"-----END CERTIFICATE-----\n") {
                return pem;
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("bao writes no certificate authority");
}
