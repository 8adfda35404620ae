//! A real broker in a process of its own, and real clients. Every test has its own folder, port and database.

#![expect(dead_code, reason = "each test binary uses its own part")]

pub mod aws;
pub mod azure;
pub mod bao;
pub mod demanding;
mod document;
pub mod faketime;
pub mod google;
pub mod hsm;
pub mod mail;
pub mod person;
pub mod raw;

pub use raw::{Answer, Raw};

use device::{Broker as Address, Device, DeviceInfo};
use document::assert_documented;
use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use sqlx::{Connection, Row};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub const KEYFOLD: &str = env!("CARGO_BIN_EXE_keyfold");
/// The token of the second administrator, where there is one.
pub const SECOND_TOKEN: &str = "the token of an administrator who confirms what others ask for";
/// The tenant that [`Broker::with_tenant`] makes, and its KEK's name in the software keystore.
pub const TENANT: &str = "acme";

/// A broker under test. Dropping it kills the process and removes the folder.
pub struct Broker {
    folder: TempDir,
    process: Option<Child>,
    http: Client,
    pub port: u16,
}

/// A quota that stops nobody.
pub const UNLIMITED: &str = "[[quota]]\nopen_restores = 1000000\nrestores_per_day = 1000000\n\
                             failures_per_day = 1000000\ntenant_restores_per_hour = 1000000\n";

impl Broker {
    /// A broker on the embedded defaults, ready.
    pub async fn start() -> Self {
        Self::start_with(|config| config).await
    }

    /// A broker whose configuration file `edit` has changed, ready.
    pub async fn start_with(edit: impl FnOnce(String) -> String) -> Self {
        let mut broker = Self::prepared(edit);
        broker.run(&[]).await;
        broker
    }

    /// A folder with a configuration; nothing runs yet.
    pub fn prepared(edit: impl FnOnce(String) -> String) -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let dir = folder.path().join("kf");
        let made = keyfold(&["init", dir.to_str().unwrap(), "--port", &port.to_string()]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let config = dir.join("keyfold.toml");
        let defaults = fs::read_to_string(&config).unwrap()
            + "\n[rates]\ndevice_per_second = 100000\ntenant_per_second = 100000\nfailures_per_minute = 100000\n\
               [times]\nkek_test_seconds = 3600\n"
            + UNLIMITED;
        fs::write(&config, edit(defaults)).unwrap();
        fs::write(dir.join("second-token"), SECOND_TOKEN).unwrap();
        let roots = Certificate::from_pem_bundle(&fs::read(dir.join("ca.pem")).unwrap()).unwrap();
        let http = Client::builder().tls_certs_only(roots).timeout(Duration::from_secs(60)).build().unwrap();
        Self { folder, process: None, http, port }
    }

    /// Has a second administrator in the configuration.
    pub fn with_two_administrators(config: &str) -> String {
        format!("{config}\n[[admins]]\nname = \"second\"\ntoken = {{ file = \"second-token\" }}\n")
    }

    /// Runs the program, under `wrapper` where there is one (`strace -f ..`, `faketime ..`), and waits until it is ready.
    pub async fn run(&mut self, wrapper: &[&str]) {
        self.spawn(wrapper);
        self.ready().await;
    }

    /// Runs the program without waiting for it.
    pub fn spawn(&mut self, wrapper: &[&str]) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut words = wrapper.to_vec();
        let config = self.path("keyfold.toml");
        words.extend([KEYFOLD, "serve", "--json-logs", "--config", config.to_str().unwrap()]);
        let mut command = Command::new(words[0]);
        let printed = fs::File::create(self.path("printed")).unwrap();
        command.args(&words[1..]).stdout(printed).stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    /// Waits until `/readyz` says so; panics with the log when the process ends instead.
    pub async fn ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.process.as_mut().and_then(|process| process.try_wait().unwrap()) {
                panic!("the broker ended with {status}: {}", self.log());
            }
            if self.http.get(self.url("/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the broker did not become ready: {}", self.log());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill();
            process.wait().unwrap();
        }
    }

    /// SIGTERM, then waits for a clean end.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("a broker runs");
        let killed = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let status = process.wait().unwrap();
        assert!(status.success(), "the broker ended with {status}: {}", self.log());
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a broker runs").id()
    }

    /// Everything the broker has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// What the broker has printed since it was last run.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.path("printed")).unwrap_or_default()
    }

    /// A file of the broker's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("kf").join(name)
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// What a device needs to find and trust this broker.
    pub fn address(&self) -> Address {
        Address { url: self.url(""), roots_pem: fs::read_to_string(self.path("ca.pem")).unwrap() }
    }

    /// An HTTP client that trusts this broker.
    pub fn http(&self) -> &Client {
        &self.http
    }

    /// `GET`, without a token.
    pub async fn text(&self, path: &str) -> String {
        self.http.get(self.url(path)).send().await.unwrap().text().await.unwrap()
    }

    /// The operator's API token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.path("admin-token")).unwrap().trim().into()
    }

    /// An admin request: POST with a body, else GET. Gives status and JSON.
    pub async fn admin(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        self.ask(&self.token(), path, body).await
    }

    /// [`Self::admin`] by the second administrator of [`Self::with_two_administrators`].
    pub async fn second_admin(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(SECOND_TOKEN, path, Some(body)).await
    }

    async fn ask(&self, token: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let path = format!("/v1/admin/tenants{path}");
        let method = if body.is_some() { "post" } else { "get" };
        let request = match body {
            Some(body) => self.http.post(self.url(&path)).json(&body),
            None => self.http.get(self.url(&path)),
        };
        let answer = request.bearer_auth(token).send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null));
        assert_documented(
            method,
            &path,
            (status, if status < 400 { "" } else { body["code"].as_str().unwrap_or("none") }),
        );
        (status, body)
    }

    /// As [`Self::admin`], and it must succeed.
    pub async fn admin_ok(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.admin(path, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Makes the tenant `acme` with a software KEK of the same name and the user `alice`; gives the log's verifier key.
    pub async fn with_tenant(&self) -> String {
        self.tenant(TENANT, "alice").await
    }

    /// Makes a tenant with a software KEK of the same name and one user; gives the log's verifier key.
    pub async fn tenant(&self, tenant: &str, user: &str) -> String {
        let made = self.admin_ok("", json!({"id": tenant, "name": tenant, "unattested_days": 30})).await;
        self.keystore(&["add", tenant]);
        self.admin_ok(&format!("/{tenant}/keks"), json!({"provider": "software", "key": tenant})).await;
        self.admin_ok(&format!("/{tenant}/users"), json!({"id": user})).await;
        made["vkey"].as_str().unwrap().into()
    }

    /// `keyfold keystore` on this broker's keystore.
    pub fn keystore(&self, words: &[&str]) {
        let (keystore, passphrase) = (self.path("keystore.json"), self.path("passphrase"));
        let options = ["keystore", "--keystore", keystore.to_str().unwrap(), "--passphrase-file"];
        let done = keyfold(&[&options[..], &[passphrase.to_str().unwrap()], words].concat());
        assert!(done.status.success(), "{}", text(&done.stderr));
    }

    /// A one-time enrolment code.
    pub async fn code(&self, tenant: &str, user: &str) -> String {
        let made = self.admin_ok(&format!("/{tenant}/enrolment-codes"), json!({"user": user})).await;
        made["code"].as_str().unwrap().into()
    }

    /// An enrolled device, by the real SDK.
    pub async fn enrol(&self, tenant: &str, user: &str) -> Device {
        let code = self.code(tenant, user).await.parse().unwrap();
        let info = DeviceInfo { name: "phone".parse().unwrap(), platform: "test".parse().unwrap() };
        Device::enrol(self.address(), tenant.parse().unwrap(), code, info, None).await.unwrap()
    }

    /// How many keys the software provider has unwrapped since the start, the canary of each registered KEK included.
    pub async fn unwraps(&self) -> u32 {
        let metric = "keyfold_provider_seconds_count{provider=\"software\",operation=\"unwrap\",outcome=\"ok\"} ";
        let metrics = self.text("/metrics").await;
        metrics.lines().find_map(|line| line.strip_prefix(metric)).map_or(0, |count| count.parse().unwrap())
    }

    /// The database, behind the broker's back.
    pub async fn database(&self) -> sqlx::AnyConnection {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite:{}", self.path("keyfold.db").display());
        sqlx::AnyConnection::connect(&url).await.unwrap()
    }

    /// Changes the database behind the broker's back; gives the first column of the first row, where there is one.
    pub async fn sql(&self, statement: &'static str) -> Option<String> {
        let mut database = self.database().await;
        let row = sqlx::query(statement).fetch_optional(&mut database).await.unwrap();
        database.close().await.unwrap();
        row.and_then(|row| row.try_get(0).ok())
    }

    /// Takes access away.
    pub async fn revoke(&self, tenant: &str, kind: &str, id: Option<&str>) -> Value {
        let target = json!({"kind": kind, "id": id});
        let target = if id.is_none() { json!({"kind": kind}) } else { target };
        self.admin_ok(&format!("/{tenant}/revocations"), json!({"target": target, "reason": "test"})).await
    }

    /// The whole log of a tenant: each event's line as `keyfold admin export` writes it, after `keyfold verify` passed.
    pub fn verified_log(&self, tenant: &str, vkey: &str) -> Vec<Value> {
        let out = TempDir::new().unwrap();
        let dir = out.path().join("export");
        self.export(tenant, vkey, &dir);
        fs::write(out.path().join("vkey"), vkey).unwrap();
        let pinned = out.path().join("vkey");
        let verified = keyfold(&["verify", dir.to_str().unwrap(), "--vkey", pinned.to_str().unwrap()]);
        assert!(verified.status.success(), "{}", text(&verified.stderr));
        let lines = fs::read_to_string(dir.join("events.ndjson")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// `keyfold admin export`.
    pub fn export(&self, tenant: &str, vkey: &str, dir: &Path) {
        let done = self.run_admin(&["export", tenant, "--vkey", vkey, "--out", dir.to_str().unwrap()]);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }

    /// `keyfold admin`.
    pub fn run_admin(&self, words: &[&str]) -> Output {
        let (ca, token, url) = (self.path("ca.pem"), self.path("admin-token"), self.url(""));
        let options = ["admin", "--url", &url, "--ca", ca.to_str().unwrap(), "--token-file", token.to_str().unwrap()];
        keyfold(&[&options[..], words].concat())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The outcomes of all events of a kind, in order.
pub fn outcomes(log: &[Value], kind: &str) -> Vec<String> {
    let of_kind = log.iter().filter(|event| event["evt"] == kind);
    of_kind.map(|event| event["out"].as_str().unwrap().to_owned()).collect()
}

/// Runs the program to its end.
pub fn keyfold(words: &[&str]) -> Output {
    Command::new(KEYFOLD).args(words).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
