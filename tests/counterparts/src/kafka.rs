//! Kafka, twice: tansu behind what it lacks, which is TLS, SASL and faults, and librdkafka's mock cluster of several nodes. librdkafka
//! reads back what is there. `KEYFOLD_KAFKA` names the Python environment that `./dev` installs.

use crate::tls::{Authority, TlsPort};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use tempfile::TempDir;

/// What a client must show to get in.
#[derive(Debug, Default)]
pub struct Door<'a> {
    /// TLS with a certificate of this authority, for clients of the same; needs a Tokio runtime of several threads.
    pub mutual_tls: Option<&'a Authority>,
    /// A SASL mechanism, a user, and a password.
    pub sasl: Option<(&'a str, &'a str, &'a str)>,
}

/// A broker with one topic. Dropping it kills it.
#[derive(Debug)]
pub struct Kafka {
    broker: Running,
    _front: Running,
    inside: u16,
    tls: Option<TlsPort>,
    folder: TempDir,
    port: u16,
    reader: Reader,
}

impl Kafka {
    /// A broker with an empty topic of three partitions.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(topic: &str, door: &Door<'_>) -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        let (inside, middle) = (free_port(), free_port());
        let behind = format!("127.0.0.1:{middle}");
        let tls = door.mutual_tls.map(|authority| TlsPort::start(authority.mutual_server(None), behind));
        let port = tls.as_ref().map_or(middle, TlsPort::port);
        let broker = Running(tansu(inside, port).spawn().expect("tansu is installed"));
        wait_ready(inside);
        make_topic(inside, topic);
        let options = options(door, folder.path(), inside, middle);
        let front = Running(python("front.py").arg(options).spawn().expect("Python is installed"));
        wait_ready(middle);
        let address = format!("localhost:{port}");
        let reader = Reader::start(&["read", &address, topic, &settings(door, folder.path())]);
        Self { broker, _front: front, inside, tls, folder, port, reader }
    }

    /// Where clients connect: `localhost:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// What clients connect to, where that is TLS.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsPort> {
        self.tls.as_ref()
    }

    /// From now on batches are stored, but the producer is not told: its connection ends instead. Or no longer.
    ///
    /// # Panics
    /// When there is no room for a file.
    pub fn cut_answers(&self, cut: bool) {
        let file = self.folder.path().join("cut");
        let done = if cut { fs::write(file, "") } else { fs::remove_file(file) };
        done.expect("the folder is ours");
    }

    /// Kills the broker, as a crash would. All that it stored is gone.
    pub fn kill(&mut self) {
        self.broker.kill();
    }

    /// Starts another in its place, with an empty topic.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn restart(&mut self, topic: &str) {
        self.broker = Running(tansu(self.inside, self.port).spawn().expect("tansu is installed"));
        wait_ready(self.inside);
        make_topic(self.inside, topic);
    }

    /// All messages of the topic, once there are `count`.
    #[must_use]
    pub fn messages(&mut self, count: usize) -> Vec<Value> {
        self.reader.messages(count)
    }
}

/// A cluster of librdkafka's own, in one process, with one topic of four partitions. Dropping it kills it.
#[derive(Debug)]
pub struct MockCluster(Reader);

impl MockCluster {
    /// A cluster of so many nodes.
    #[must_use]
    pub fn start(nodes: usize, topic: &str) -> Self {
        Self(Reader::start(&["mock", &nodes.to_string(), topic, "{}"]))
    }

    /// Its nodes, each `host:port`.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.0.cluster.split(',').map(str::to_owned).collect()
    }

    /// All messages of the topic, once there are `count`.
    #[must_use]
    pub fn messages(&mut self, count: usize) -> Vec<Value> {
        self.0.messages(count)
    }
}

/// librdkafka's consumer.
#[derive(Debug)]
struct Reader {
    cluster: String,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    _process: Running,
}

impl Reader {
    fn start(arguments: &[&str]) -> Self {
        let mut command = python("clients.py");
        let mut process =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is there");
        let questions = process.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut cluster = String::new();
        answers.read_line(&mut cluster).expect("it says where the cluster is");
        Self { cluster: cluster.trim().to_owned(), questions, answers, _process: Running(process) }
    }

    fn messages(&mut self, count: usize) -> Vec<Value> {
        writeln!(self.questions, "{count}").expect("it listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        serde_json::from_str(&answer).expect("it answers with a list")
    }
}

/// A process that does not survive its test.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        self.0.kill().expect("it is ours to kill");
        self.0.wait().expect("it was started here");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn environment() -> PathBuf {
    PathBuf::from(env::var_os("KEYFOLD_KAFKA").expect("KEYFOLD_KAFKA names the environment with tansu and librdkafka"))
}

fn python(script: &str) -> Command {
    let mut command = Command::new(environment().join("bin/python"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka").join(script)).stderr(Stdio::null());
    command
}

fn program() -> PathBuf {
    environment().join("tansu")
}

fn tansu(inside: u16, advertised: u16) -> Command {
    let mut command = Command::new(program());
    command.args(["broker", "--storage-engine", "memory://tansu/"]);
    command.args(["--listener-url", &format!("tcp://127.0.0.1:{inside}")]);
    command.args(["--advertised-listener-url", &format!("tcp://localhost:{advertised}")]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn make_topic(inside: u16, topic: &str) {
    let broker = format!("tcp://127.0.0.1:{inside}");
    let mut command = Command::new(program());
    let made = command.args(["topic", "create", "--broker", &broker, "--partitions", "3", topic]).output();
    assert!(made.expect("tansu is installed").status.success(), "the topic cannot be made");
}

fn options(door: &Door<'_>, folder: &Path, inside: u16, middle: u16) -> String {
    let mut options = json!({"listen": middle, "upstream": inside, "cut": folder.join("cut")});
    if let Some((mechanism, username, password)) = door.sasl {
        options["mechanism"] = json!(mechanism);
        options["username"] = json!(username);
        options["password"] = json!(password);
    }
    options.to_string()
}

/// What librdkafka needs to get in by this door.
fn settings(door: &Door<'_>, folder: &Path) -> String {
    let mut settings = json!({});
    let mut protocol = "PLAINTEXT";
    if let Some(authority) = door.mutual_tls {
        let (ca, client) = (folder.join("ca.pem"), folder.join("client.pem"));
        fs::write(&ca, authority.pem()).expect("there is room for a file");
        fs::write(&client, authority.client_pem()).expect("there is room for a file");
        settings["ssl.ca.location"] = json!(ca);
        settings["ssl.certificate.location"] = json!(client);
        settings["ssl.key.location"] = json!(client);
        protocol = "SSL";
    }
    if let Some((mechanism, username, password)) = door.sasl {
        settings["sasl.mechanism"] = json!(mechanism);
        settings["sasl.username"] = json!(username);
        settings["sasl.password"] = json!(password);
        protocol = if door.mutual_tls.is_some() { "SASL_SSL" } else { "SASL_PLAINTEXT" };
    }
    settings["security.protocol"] = json!(protocol);
    settings.to_string()
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    free.expect("loopback has a port left").port()
}

fn wait_ready(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nobody listens at {port}");
        thread::sleep(Duration::from_millis(20));
    }
}
