//! A witness of ours in a process of its own, and a broker that it watches.

use crate::harness::{Broker, KEYFOLD, TENANT, keyfold, text};
use audit::note::Verifier;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// `keyfold witness serve`. Dropping it kills the process.
pub(crate) struct Watch {
    folder: TempDir,
    process: Option<Child>,
    tracer: Option<Child>,
    pub(crate) port: u16,
    pub(crate) vkey: String,
}

impl Watch {
    /// A witness of the logs of these verifier keys, ready.
    pub(crate) async fn start(logs: &[&str]) -> Self {
        let mut watch = Self::prepared(logs);
        watch.run().await;
        watch
    }

    /// A folder with all that a witness needs; nothing runs yet.
    pub(crate) fn prepared(logs: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        // Only for its certificate: names and authority are those of a broker.
        assert!(keyfold(&["init", &path("tls")]).status.success());
        let key = ["--name", "witness.example/w1", "--key", &path("key"), "--state", &path("state")];
        let made = keyfold(&[&["witness", "keygen"], &key[..]].concat());
        assert!(made.status.success(), "{}", text(&made.stderr));
        let logs: String = logs.iter().map(|vkey| format!("\n[[logs]]\nvkey = \"{vkey}\"\n")).collect();
        let config = format!(
            "listen = \"127.0.0.1:{port}\"\nname = \"witness.example/w1\"\nkey = {{ file = \"key\" }}\nstate = \"state\"\n\
             {}\n[tls]\ncertificate = \"tls/tls.pem\"\nkey = \"tls/tls.key\"\n{logs}",
            if logs.is_empty() { "logs = []\n" } else { "" }
        );
        fs::write(folder.path().join("witness.toml"), config).unwrap();
        Self { vkey: text(&made.stdout).trim().into(), folder, process: None, tracer: None, port }
    }

    /// Runs the program, and waits until it answers.
    pub(crate) async fn run(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(KEYFOLD);
        command.args(["witness", "serve", "--json-logs", "--config"]).arg(self.path("witness.toml"));
        self.process = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        until("the witness is ready", async || {
            self.http().get(self.url("/healthz")).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill();
            process.wait().unwrap();
        }
        // It ends with the process that it watches.
        if let Some(mut tracer) = self.tracer.take() {
            tracer.wait().unwrap();
        }
    }

    /// Has the process killed when it begins its `fsync`th sync from now.
    pub(crate) async fn kill_at(&mut self, fsync: u32) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        let inject = format!("inject=fsync:signal=SIGKILL:when={fsync}");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", &inject, "-p", &pid]);
        self.tracer = Some(strace.stderr(Stdio::null()).spawn().unwrap());
        let untraced = |thread: PathBuf| {
            let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
            status.contains("TracerPid:\t0\n")
        };
        until("all threads are watched", async || {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            !threads.map(|thread| thread.unwrap().path()).any(untraced)
        })
        .await;
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_some())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The certificate authority to trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.path("tls/ca.pem")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub(crate) fn http(&self) -> reqwest::Client {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let roots = reqwest::Certificate::from_pem_bundle(&fs::read(self.ca()).unwrap()).unwrap();
        reqwest::Client::builder().tls_certs_only(roots).no_proxy().build().unwrap()
    }

    /// The size of the only log that it has cosigned, as its folder says; 0 when there is none.
    pub(crate) fn remembered(&self) -> u64 {
        let files = fs::read_dir(self.path("state")).unwrap().map(|entry| entry.unwrap().path());
        let file = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "checkpoint"));
        file.map_or(0, |path| size(&fs::read_to_string(path).unwrap()))
    }

    /// The entry of a broker's configuration.
    pub(crate) fn entry(&self) -> String {
        entry("own", &self.url(""), &self.vkey, Some(&self.ca()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `[[witnesses]]`.
pub(crate) fn entry(name: &str, url: &str, vkey: &str, ca: Option<&Path>) -> String {
    let ca = ca.map(|path| format!("ca = \"{}\"\n", path.display())).unwrap_or_default();
    format!("\n[[witnesses]]\nname = \"{name}\"\nurl = \"{url}\"\nvkey = \"{vkey}\"\n{ca}")
}

/// The second line of a checkpoint.
pub(crate) fn size(checkpoint: &str) -> u64 {
    checkpoint.lines().nth(1).unwrap().parse().unwrap()
}

/// A broker with a tenant; its log's verifier key.
pub(crate) async fn broker() -> (Broker, String) {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    (broker, vkey)
}

/// A broker with a tenant that a witness of ours watches and has cosigned; and the log's verifier key.
pub(crate) async fn watched() -> (Broker, String, Watch) {
    let (mut broker, vkey) = broker().await;
    let watch = Watch::start(&[&vkey]).await;
    broker.stop();
    configure(&broker, &watch.entry());
    broker.run(&[]).await;
    until_witnessed(&broker, &vkey).await;
    (broker, vkey, watch)
}

/// Adds to a broker's configuration, for its next start.
pub(crate) fn configure(broker: &Broker, more: &str) {
    let path = broker.path("keyfold.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap() + more).unwrap();
}

/// Takes all witnesses and rules for releases out of a broker's configuration again.
pub(crate) fn without_witnesses(broker: &Broker) {
    let path = broker.path("keyfold.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.split("\n[[witnesses]]").next().unwrap()).unwrap();
}

/// A text of the tenant's log below `log/`.
pub(crate) async fn of_log(broker: &Broker, path: &str) -> Option<String> {
    let url = broker.url(&format!("/v1/tenants/{TENANT}/log/{path}"));
    let answer = broker.http().get(url).bearer_auth(broker.token()).send().await.unwrap();
    if answer.status() == 404 { None } else { Some(answer.error_for_status().unwrap().text().await.unwrap()) }
}

/// Waits until the newest checkpoint is witnessed, and gives it with its cosignatures.
pub(crate) async fn until_witnessed(broker: &Broker, vkey: &str) -> String {
    let verifier = [Verifier::parse(vkey).unwrap()];
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let newest = of_log(broker, "checkpoint").await.unwrap();
        if let Some(witnessed) = of_log(broker, "checkpoint/witnessed").await {
            let opened = audit::note::open(&witnessed, &verifier).unwrap();
            if opened == audit::note::open(&newest, &verifier).unwrap() {
                return witnessed;
            }
        }
        assert!(Instant::now() < deadline, "the log is not witnessed: {}", broker.log());
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The value of a metric by the beginning of its line.
pub(crate) async fn metric(broker: &Broker, line: &str) -> Option<f64> {
    let metrics = broker.text("/metrics").await;
    metrics.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}
