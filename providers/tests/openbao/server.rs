//! A real `bao` in development mode, on ports of its own: one with TLS, and one without for what stands in front.

use counterparts::front::Front;
use keyfold_providers::openbao::{ConnectError, Login, OpenBao, Options};
use reqwest::{Certificate, Method};
use secret::Secret;
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

const ROOT: &str = "root-token";

pub(crate) struct Server {
    process: Child,
    http: reqwest::Client,
    /// With TLS.
    address: String,
    /// Without.
    plain: String,
    ca_pem: Vec<u8>,
    folder: TempDir,
}

impl Server {
    /// A server with a transit engine that holds the keys `first` and `second`.
    ///
    /// # Panics
    /// When there is no `bao`: name it in KEYFOLD_BAO, or have it on the PATH.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port, plain] = free_ports();
        let listener = format!("listener \"tcp\" {{\n  address = \"127.0.0.1:{plain}\"\n  tls_disable = true\n}}\n");
        fs::write(folder.path().join("plain.hcl"), listener).unwrap();
        let bao = env::var_os("KEYFOLD_BAO").unwrap_or_else(|| "bao".into());
        let process = Command::new(&bao)
            .args(["server", "-dev-tls", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-dev-tls-cert-dir={}", folder.path().display()))
            .arg(format!("-config={}", folder.path().join("plain.hcl").display()))
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
        let [address, plain] = [format!("https://127.0.0.1:{port}"), format!("http://127.0.0.1:{plain}")];
        let server = Self { process, http, address, plain, ca_pem, folder };
        server.wait_until_ready().await;
        server.admin(Method::POST, "sys/mounts/team/transit", json!({"type": "transit"})).await;
        for name in ["first", "second"] {
            server.admin(Method::POST, &format!("team/transit/keys/{name}"), json!({})).await;
        }
        server
    }

    pub(crate) async fn connect(&self) -> OpenBao {
        self.connect_by(Login::Token(Secret::copied_from(ROOT.as_bytes()))).await.unwrap()
    }

    /// As `connect`, with a new token that has `policy` and lives `ttl`.
    pub(crate) async fn connect_as(&self, policy: &str, ttl: &str) -> OpenBao {
        self.connect_by(self.token(policy, ttl).await).await.unwrap()
    }

    /// As `connect`, by another login.
    pub(crate) async fn connect_by(&self, login: Login) -> Result<OpenBao, ConnectError> {
        OpenBao::connect(self.options(login)).await
    }

    /// A provider before which `front` stands.
    pub(crate) async fn connect_through(&self, front: &Front, login: Login) -> Result<OpenBao, ConnectError> {
        OpenBao::connect(Options { address: front.url(), ca_pem: None, ..self.options(login) }).await
    }

    /// Before the listener without TLS.
    pub(crate) async fn front(&self) -> Front {
        Front::before(&self.plain).await
    }

    /// All that a provider needs besides its login.
    pub(crate) fn options(&self, login: Login) -> Options {
        let (address, mount) = (self.address.clone(), "team/transit".to_owned());
        Options { address, mount, namespace: None, login, ca_pem: Some(self.ca_pem.clone()) }
    }

    /// A new token that has `policy` and lives `ttl`.
    pub(crate) async fn token(&self, policy: &str, ttl: &str) -> Login {
        self.allow(policy).await;
        let token = json!({"policies": ["test"], "ttl": ttl, "no_parent": true});
        let token = self.admin(Method::POST, "auth/token/create", token).await;
        Login::Token(Secret::copied_from(token["auth"]["client_token"].as_str().unwrap().as_bytes()))
    }

    /// Makes `policy` the one named `test`.
    pub(crate) async fn allow(&self, policy: &str) {
        self.admin(Method::POST, "sys/policies/acl/test", json!({ "policy": policy })).await;
    }

    /// Ends all tokens but the root token.
    pub(crate) async fn revoke_tokens(&self) {
        let accessors = self.accessors().await;
        for accessor in accessors {
            self.try_admin(Method::POST, "auth/token/revoke-accessor", json!({ "accessor": accessor })).await;
        }
    }

    /// The accessors of all tokens but the root token.
    pub(crate) async fn accessors(&self) -> Vec<String> {
        let list = self.admin(Method::GET, "auth/token/accessors?list=true", json!({})).await;
        let mut found = Vec::new();
        for accessor in list["data"]["keys"].as_array().unwrap() {
            let token =
                self.try_admin(Method::POST, "auth/token/lookup-accessor", json!({ "accessor": accessor })).await;
            if token.is_some_and(|token| token["data"]["policies"] != json!(["root"])) {
                found.push(accessor.as_str().unwrap().to_owned());
            }
        }
        found
    }

    /// Writes a file of that name that goes with the server.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A call with the root token; its answer, or null where there is none.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        self.try_admin(method, path, body).await.unwrap_or_else(|| panic!("{path} is refused"))
    }

    /// As `admin`; `None` when the server refuses.
    pub(crate) async fn try_admin(&self, method: Method, path: &str, body: Value) -> Option<Value> {
        self.admin_in("", method, path, body).await
    }

    /// As `try_admin`, in a namespace.
    pub(crate) async fn admin_in(&self, namespace: &str, method: Method, path: &str, body: Value) -> Option<Value> {
        let request = self.http.request(method, format!("{}/v1/{path}", self.address));
        let request = request.header("X-Vault-Token", ROOT).header("X-Vault-Namespace", namespace);
        let response = request.json(&body).send().await.unwrap();
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

/// Two ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let listeners = [0; 2].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
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
