//! SeaweedFS: a real S3 that checks signatures and honours Object Lock, in a process and on ports of its own.

#![expect(clippy::panic, reason = "a test without its server fails")]

use serde_json::json;
use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

const ATTEMPTS: usize = 3;

/// The access key that may do everything.
pub const ACCESS_KEY: &str = "AKIAKEYFOLDTEST";
/// Its secret.
pub const SECRET_KEY: &str = "secret-of-the-test";

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct SeaweedFs {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl SeaweedFs {
    /// Starts without buckets.
    ///
    /// # Panics
    /// When there is none: name the environment of Python that it is in, in `KEYFOLD_SEAWEEDFS`.
    pub async fn start() -> Self {
        for _ in 0..ATTEMPTS {
            let mut server = Self::spawn();
            if server.gets_ready().await {
                return server;
            }
        }
        panic!("SeaweedFS does not get ready");
    }

    /// Another process may take a port first, so a server that ends at once is started again on others.
    fn spawn() -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        let credentials = json!([{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]);
        let identities = json!([{"name": "test", "credentials": credentials, "actions": ["Admin"]}]);
        let config = folder.path().join("s3.json");
        fs::write(&config, json!({"identities": identities}).to_string()).expect("there is room for a file");
        let ports = free_ports();
        let names = ["master.port", "volume.port", "filer.port", "s3.port"];
        let mut command = Command::new(environment().join("bin/weed"));
        command.args([
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
            "-s3.iam=false",
            "-s3.autoCreateBucket=false",
        ]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=4", "-master.volumeSizeLimitMB=64"]);
        for (name, [port, grpc]) in names.iter().zip(&ports) {
            command.arg(format!("-{name}={port}")).arg(format!("-{name}.grpc={grpc}"));
        }
        command.arg(format!("-dir={}", folder.path().display())).arg(format!("-s3.config={}", config.display()));
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("weed: {error}"));
        Self { process, url: format!("http://127.0.0.1:{}", ports[3][0]), _folder: folder }
    }

    async fn gets_ready(&mut self) -> bool {
        // Buckets can be made some time after the port is open.
        for _ in 0..600 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return false;
            }
            let made = self.python("client.create_bucket(Bucket='ready')").status();
            if made.is_ok_and(|status| status.success()) {
                return true;
            }
            sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What `script` prints, with `client` a boto3 client of S3 of the owner.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, script: &str) -> String {
        let output = self.python(script).stderr(Stdio::piped()).output().expect("Python can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it prints text").trim_end().to_owned()
    }

    fn python(&self, script: &str) -> Command {
        let client = format!(
            "import boto3, botocore.config\n\
             client = boto3.client('s3', endpoint_url='{}', region_name='eu-central-1', aws_access_key_id='{ACCESS_KEY}', \
             aws_secret_access_key='{SECRET_KEY}', \
             config=botocore.config.Config(s3={{'addressing_style': 'path'}}, retries={{'max_attempts': 1}}))\n",
            self.url
        );
        let mut python = Command::new(environment().join("bin/python"));
        python.args(["-c", &(client + script)]).stdin(Stdio::null()).stderr(Stdio::null());
        python.env_remove("AWS_ENDPOINT_URL").env_remove("AWS_PROFILE");
        python
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn environment() -> PathBuf {
    let environment = env::var_os("KEYFOLD_SEAWEEDFS");
    PathBuf::from(environment.unwrap_or_else(|| panic!("KEYFOLD_SEAWEEDFS is not set; ./dev test sets it")))
}

/// Eight ports that were free a moment ago, in pairs.
fn free_ports() -> [[u16; 2]; 4] {
    let listeners = [[0; 2]; 4].map(|pair| pair.map(|port| TcpListener::bind(("127.0.0.1", port)).ok()));
    let port = |listener: Option<TcpListener>| listener?.local_addr().ok().map(|address| address.port());
    listeners.map(|pair| pair.map(|listener| port(listener).expect("loopback has a port left")))
}
