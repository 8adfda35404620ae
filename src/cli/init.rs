//! `keyfold init`: a folder with which the broker runs at once.

use super::{Failure, file, output};
use clap::Args;
use providers::software::{Keystore, Software};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use secret::Secret;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Make a folder with a configuration that runs at once: SQLite, the software provider with a root key, a certificate
/// authority of its own, an API token.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder to make; it must not exist.
    dir: PathBuf,
    /// The name that devices reach the broker by.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// The port to listen on.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    address: std::net::IpAddr,
}

impl Init {
    /// With the defaults of the command line.
    pub(super) fn local(dir: PathBuf) -> Self {
        Self { dir, host: "localhost".into(), port: 8443, address: Ipv4Addr::LOCALHOST.into() }
    }

    pub(super) fn run(self) -> Result<(), Failure> {
        self.make()?;
        let dir = self.dir.display();
        output::line(&format!("made {dir}: run `keyfold serve --config {dir}/keyfold.toml`"))
    }

    /// Makes the folder and all that is in it.
    pub(super) fn make(&self) -> Result<(), Failure> {
        fs::create_dir(&self.dir).map_err(|error| format!("`{}` cannot be made: {error}", self.dir.display()))?;
        fs::set_permissions(&self.dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        self.write_certificates()?;
        self.write_token("admin-token")?;
        self.write_token("passphrase")?;
        let passphrase = Secret::copied_from(&crate::config::secret_file(&self.dir.join("passphrase"))?);
        let keystore = self.dir.join("keystore.json");
        Keystore::create(&keystore, &passphrase)?;
        Software::open(&keystore, &passphrase)?.create_key("root")?;
        self.write("keyfold.toml", self.config().as_bytes())
    }

    fn config(&self) -> String {
        let Self { host, port, address, .. } = self;
        format!(
            r#"# Every field is explained in docs/OPERATIONS.md. Paths start at this file's folder.
listen = "{address}:{port}"
public_url = "https://{host}:{port}"
log_host = "{host}"

[tls]
certificate = "tls.pem"
key = "tls.key"

[database]
path = "keyfold.db"

[root]
provider = "software"
key = "root"

[admin]
token = {{ file = "admin-token" }}

# Keys in a file: good for trying out, not an HSM.
[providers.software]
type = "software"
keystore = "keystore.json"
passphrase = {{ file = "passphrase" }}

[[sinks]]
type = "file"
name = "events"
path = "events.ndjson"
"#
        )
    }

    /// A certificate authority for this broker alone: `ca.pem` is what devices and administrators trust.
    fn write_certificates(&self) -> Result<(), Failure> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(rcgen::DnType::CommonName, "Keyfold local CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate()?;
        let mut names = vec![self.host.clone(), "localhost".into(), "127.0.0.1".into()];
        names.dedup();
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(rcgen::DnType::CommonName, self.host.clone());
        // RFC 5280, section 4.2.1.1; strict clients, Python's among them, refuse a certificate without.
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&key, &issuer)?;
        self.write("ca.pem", certificate.pem().as_bytes())?;
        self.write("tls.pem", leaf.pem().as_bytes())?;
        // The authority's own key is not kept: nobody can make a second certificate.
        self.write("tls.key", key.serialize_pem().as_bytes())
    }

    fn write_token(&self, name: &str) -> Result<(), Failure> {
        let mut token = [0; 32];
        aws_lc_rs::rand::fill(&mut token)?;
        self.write(name, format!("{}\n", hex::encode(token)).as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        file::make_private(&self.dir.join(name), bytes)
    }
}
