//! The baseline: OpenBao's transit engine as a production server runs it (raft, TLS, file audit), decrypting.

use crate::Failure;
use crate::broker::free_port;
use crate::https::{Connection, Endpoint};
use crate::load::Operation;
use crate::process::Server;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Request;
use providers::openbao::{Login, Options};
use secret::Secret;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEY_TYPE: &str = "aes256-gcm96";
/// The payload of a Keyfold record, and its context.
const PAYLOAD: [u8; 64] = [7; 64];
const CONTEXT: [u8; 32] = [9; 32];

/// An OpenBao server that runs. Dropping it kills the process and removes the folder.
pub struct Bao {
    /// Its process.
    pub server: Server,
    endpoint: Endpoint,
    token: String,
    ciphertext: String,
    ca: PathBuf,
    folder: TempDir,
}

impl Bao {
    /// The name of its first key.
    pub const KEY: &str = "kek";

    /// Starts it below `folder`, unsealed, with one AES-256-GCM key; the certificate `tls.pem`, `tls.key` and its
    /// authority `ca.pem` are taken from `certificates`.
    pub async fn start(program: &Path, folder: &Path, certificates: &Path) -> Result<Self, Failure> {
        let home = TempDir::new_in(folder)?;
        let port = free_port()?;
        let config = home.path().join("bao.hcl");
        fs::create_dir(home.path().join("raft"))?;
        fs::write(&config, configuration(&home.path().canonicalize()?, port, &certificates.canonicalize()?)?)?;
        let mut command = Command::new(program);
        command.arg("server").arg("-config").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Server::start(&mut command)?;
        let ca = certificates.canonicalize()?.join("ca.pem");
        let endpoint = Endpoint::new(port, &ca)?;
        let mut connection = listening(&endpoint, &mut server).await?;
        let token = unseal(&mut connection).await?;
        let ciphertext = first_ciphertext(&mut connection, &token).await?;
        Ok(Self { server, endpoint, token, ciphertext, ca, folder: home })
    }

    /// Makes another key of the same kind.
    pub async fn add_key(&self, name: &str) -> Result<(), Failure> {
        let mut connection = self.endpoint.connect().await?;
        ask(&mut connection, &self.token, &format!("transit/keys/{name}"), json!({"type": KEY_TYPE})).await.map(drop)
    }

    /// The provider `name` of a broker's configuration, with these `settings`, lines of TOML.
    pub fn section(&self, name: &str, settings: &str) -> Result<String, Failure> {
        let token = self.folder.path().join("token");
        fs::write(&token, &self.token)?;
        Ok(format!(
            "\n[providers.{name}]\ntype = \"openbao\"\naddress = \"{}\"\nca = \"{}\"\n\
             login = {{ method = \"token\", token = {{ file = \"{}\" }} }}\n{settings}\n",
            self.endpoint.url(),
            self.ca.display(),
            token.display()
        ))
    }

    /// The room of the same.
    pub fn options(&self) -> Result<Options, Failure> {
        Ok(Options {
            address: self.endpoint.url(),
            mount: "transit".into(),
            namespace: None,
            login: Login::Token(Secret::copied_from(self.token.as_bytes())),
            ca_pem: Some(fs::read(&self.ca)?),
        })
    }

    /// `count` clients that decrypt, each on a connection of its own.
    pub async fn clients(&self, count: usize) -> Result<Vec<Decrypts>, Failure> {
        let body = json!({"ciphertext": self.ciphertext, "associated_data": STANDARD.encode(CONTEXT)});
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let (connection, token) = (self.endpoint.connect().await?, self.token.clone());
            clients.push(Decrypts { connection, token, body: serde_json::to_vec(&body)? });
        }
        Ok(clients)
    }
}

/// What `bao version` says.
pub fn version(program: &Path) -> Result<String, Failure> {
    let said = Command::new(program).arg("version").output()?.stdout;
    Ok(String::from_utf8_lossy(&said).split(" (").next().unwrap_or_default().trim().into())
}

fn configuration(home: &Path, port: u16, certificates: &Path) -> Result<String, Failure> {
    let (home, certificates, cluster) = (home.display(), certificates.display(), free_port()?);
    Ok(format!(
        r#"disable_mlock = true
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster}"
storage "raft" {{
  path = "{home}/raft"
  node_id = "bench"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_cert_file = "{certificates}/tls.pem"
  tls_key_file = "{certificates}/tls.key"
}}
audit "file" "log" {{
  options {{
    file_path = "{home}/audit.log"
  }}
}}
"#
    ))
}

async fn listening(endpoint: &Endpoint, server: &mut Server) -> Result<Connection, Failure> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Ok(connection) = endpoint.connect().await {
            return Ok(connection);
        }
        server.check()?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("OpenBao does not listen".into())
}

async fn unseal(connection: &mut Connection) -> Result<String, Failure> {
    let made = ask(connection, "", "sys/init", json!({"secret_shares": 1, "secret_threshold": 1})).await?;
    ask(connection, "", "sys/unseal", json!({"key": made["keys"][0]})).await?;
    Ok(made["root_token"].as_str().ok_or("no root token")?.into())
}

/// The engine mounts once the server has become the leader, shortly after it was unsealed.
async fn first_ciphertext(connection: &mut Connection, token: &str) -> Result<String, Failure> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = ask(connection, token, "sys/mounts/transit", json!({"type": "transit"})).await {
        if Instant::now() > deadline {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ask(connection, token, &format!("transit/keys/{}", Bao::KEY), json!({"type": KEY_TYPE})).await?;
    let plaintext = json!({"plaintext": STANDARD.encode(PAYLOAD), "associated_data": STANDARD.encode(CONTEXT)});
    let encrypted = ask(connection, token, "transit/encrypt/kek", plaintext).await?;
    Ok(encrypted["data"]["ciphertext"].as_str().ok_or("no ciphertext")?.into())
}

async fn ask(connection: &mut Connection, token: &str, path: &str, body: Value) -> Result<Value, Failure> {
    let request = Request::post(format!("/v1/{path}")).header("x-vault-token", token);
    let answer = connection.send(request, serde_json::to_vec(&body)?).await?;
    Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

/// Decrypts the same ciphertext over and over.
pub struct Decrypts {
    connection: Connection,
    token: String,
    body: Vec<u8>,
}

impl Operation for Decrypts {
    async fn once(&mut self) -> Result<(), Failure> {
        let request = Request::post("/v1/transit/decrypt/kek").header("x-vault-token", &self.token);
        self.connection.send(request, self.body.clone()).await.map(drop)
    }
}

/// Where `bao` is: `KEYFOLD_BAO`, else the search path decides.
pub fn program() -> PathBuf {
    std::env::var_os("KEYFOLD_BAO").map_or_else(|| "bao".into(), PathBuf::from)
}
