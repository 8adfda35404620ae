//! Emulators of clouds, each a process of its own, with one key to wrap with.

use crate::Failure;
use crate::broker::free_port;
use crate::https::Connection;
use crate::process::Server;
use http::Request;
use providers::azure_key_vault::{self, Algorithm, Credential, Kind};
use providers::{aws_kms, google_kms};
use secret::Secret;
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::time::sleep;

const REGION: &str = "eu-central-1";
const RING: &str = "projects/bench/locations/europe-west1/keyRings/ring";
/// Who owns the subscription; the emulator takes any.
const DIRECTORY: &str = "tenant";

/// An emulator that runs, the broker's configuration for it, and the name of its key. Ends when it is dropped.
pub struct Emulator<O> {
    /// Lines of TOML below `[providers.NAME]`.
    pub settings: String,
    /// The key.
    pub key: String,
    /// What the room is connected with.
    pub options: O,
    /// Its process and folder.
    pub runs: (Server, TempDir),
}

/// LocalStack, by the Python that `KEYFOLD_LOCALSTACK` names. Credentials come from the environment, as the broker's do.
pub async fn localstack(folder: &Path) -> Result<Emulator<aws_kms::Options>, Failure> {
    let python = env::var_os("KEYFOLD_LOCALSTACK").ok_or("KEYFOLD_LOCALSTACK does not name LocalStack's Python")?;
    env::var("AWS_ACCESS_KEY_ID").map_err(|_| "AWS_ACCESS_KEY_ID is not set: `test` will do")?;
    let script = Path::new("tests/counterparts/aws/localstack_kms.py").canonicalize()?;
    let home = TempDir::new_in(folder)?;
    // Only in its IPv6 form does LocalStack heed the address.
    let address = format!("[::1]:{}", free_port()?);
    let mut command = Command::new(python);
    command.arg(script).current_dir(home.path()).env("GATEWAY_LISTEN", &address).env("LOCALSTACK_HOST", &address);
    command.env("FILESYSTEM_ROOT", home.path()).env("HOME", home.path());
    command.envs([("SERVICES", "kms,sts"), ("DISABLE_EVENTS", "1"), ("SKIP_SSL_CERT_DOWNLOAD", "1")]);
    command.envs([("DNS_ADDRESS", "0"), ("ACTIVATE_PRO", "0")]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Server::start(&mut command)?;
    let url = format!("http://{address}");
    let made = first_aws_key(&url, &mut server).await?;
    let key = text(&made["KeyMetadata"], "Arn")?;
    let settings = format!("type = \"aws_kms\"\nregion = \"{REGION}\"\nendpoint = \"{url}\"\n");
    let options = aws_kms::Options { region: REGION.into(), endpoint: Some(url), ..aws_kms::Options::default() };
    Ok(Emulator { settings, key, options, runs: (server, home) })
}

/// Made as soon as the server is ready.
async fn first_aws_key(url: &str, server: &mut Server) -> Result<Value, Failure> {
    let scope =
        format!("AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/kms/aws4_request, SignedHeaders=host, Signature=0");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let request = Request::post("/").header("x-amz-target", "TrentService.CreateKey");
        let request = request.header("content-type", "application/x-amz-json-1.1").header("authorization", &scope);
        match ask(url, request, json!({"KeyUsage": "ENCRYPT_DECRYPT"})).await {
            Ok(made) => return Ok(made),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => server.check()?,
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The counterpart of Google Cloud KMS, a program beside the broker's.
pub async fn google(folder: &Path, keyfold: &Path) -> Result<Emulator<google_kms::Options>, Failure> {
    let home = TempDir::new_in(folder)?;
    let mut server = Server::start(Command::new(keyfold.with_file_name("google-kms")).stdout(Stdio::piped()))?;
    let started = server.first_json()?;
    let (url, credentials) = (text(&started, "url")?, text(&started, "credentials")?);
    let bearer = format!("Bearer {}", text(&started, "token")?);
    let location = RING.strip_suffix("/keyRings/ring").unwrap_or(RING);
    for path in [format!("{location}/keyRings?keyRingId=ring"), format!("{RING}/cryptoKeys?cryptoKeyId=kek")] {
        let request = Request::post(format!("/v1/{path}")).header("authorization", &bearer);
        ask(&url, request.header("content-type", "application/json"), json!({"purpose": "ENCRYPT_DECRYPT"})).await?;
    }
    let file = home.path().join("credentials.json");
    fs::write(&file, &credentials)?;
    let settings =
        format!("type = \"google_kms\"\nendpoint = \"{url}\"\ncredentials = {{ file = \"{}\" }}\n", file.display());
    let credentials = google_kms::Credentials::File(Secret::copied_from(credentials.as_bytes()));
    let options = google_kms::Options { endpoint: Some(url), credentials, quota_project: None };
    Ok(Emulator { settings, key: format!("{RING}/cryptoKeys/kek"), options, runs: (server, home) })
}

/// The counterpart of Azure Key Vault, a program beside the broker's: an RSA key, unwrapped by RSA-OAEP-256.
pub fn azure(folder: &Path, keyfold: &Path) -> Result<Emulator<azure_key_vault::Options>, Failure> {
    let home = TempDir::new_in(folder)?;
    let mut server = Server::start(Command::new(keyfold.with_file_name("azure_key_vault")).stdout(Stdio::piped()))?;
    let started = server.first_json()?;
    let said = |name| text(&started, name);
    for name in ["ca", "certificate", "key"] {
        fs::write(home.path().join(name), said(name)?)?;
    }
    let settings = format!(
        "type = \"azure_key_vault\"\nvault_url = \"{vault}\"\nauthority_host = \"{authority}\"\nca = \"{home}/ca\"\n\
         identity = {{ method = \"client_certificate\", tenant_id = \"{DIRECTORY}\", client_id = \"{client}\", \
         certificate = \"{home}/certificate\", key = {{ file = \"{home}/key\" }} }}\n",
        vault = said("vault")?,
        authority = said("authority_host")?,
        client = said("client_id")?,
        home = home.path().display(),
    );
    let credential = Credential::ClientCertificate {
        tenant_id: DIRECTORY.into(),
        client_id: said("client_id")?,
        certificate: said("certificate")?.into_bytes(),
        key: Secret::copied_from(said("key")?.as_bytes()),
    };
    let options = azure_key_vault::Options {
        vault_url: said("vault")?,
        kind: Kind::Vault,
        algorithm: Algorithm::RsaOaep256,
        credential,
        authority_host: Some(said("authority_host")?),
        ca_pem: Some(said("ca")?.into_bytes()),
    };
    Ok(Emulator { settings, key: said("kek")?, options, runs: (server, home) })
}

async fn ask(url: &str, request: http::request::Builder, body: Value) -> Result<Value, Failure> {
    let mut connection = Connection::plain(url).await?;
    Ok(serde_json::from_slice(&connection.send(request, serde_json::to_vec(&body)?).await?.body)?)
}

fn text(object: &Value, name: &str) -> Result<String, Failure> {
    Ok(object[name].as_str().ok_or_else(|| format!("no `{name}` in what was said"))?.into())
}
