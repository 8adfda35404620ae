//! A real broker in a folder of its own.

use crate::Failure;
use crate::device::Device;
use crate::https::{Connection, Endpoint};
use crate::process::Server;
use http::Request;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Rates and quotas that stop nobody; begins with `[rates]`.
pub const UNLIMITED: &str = "\n[rates]\ndevice_per_second = 1000000\ntenant_per_second = 1000000\n\
                             [[quota]]\nopen_restores = 1000000000\nrestores_per_day = 1000000000\n\
                             tenant_restores_per_hour = 1000000000\n";

/// The broker's program, and where its folders are made.
#[derive(Debug, Clone)]
pub struct Installation {
    /// `keyfold`, a release build.
    pub keyfold: PathBuf,
    /// On the disk that is measured.
    pub folder: PathBuf,
}

/// A broker that runs. Dropping it kills the process and removes the folder.
pub struct Broker {
    /// Its process.
    pub server: Server,
    installation: Installation,
    endpoint: Endpoint,
    folder: TempDir,
}

impl Broker {
    /// A new broker on the embedded defaults with rates that stop nobody, and with these sections besides: further
    /// providers, which must outlive it.
    pub async fn start(installation: &Installation, sections: &str) -> Result<Self, Failure> {
        let port = free_port()?;
        let folder = initialised(installation, port)?;
        let dir = folder.path().join("kf");
        let config = dir.join("keyfold.toml");
        fs::write(&config, fs::read_to_string(&config)? + UNLIMITED + sections)?;
        let endpoint = Endpoint::new(port, &dir.join("ca.pem"))?;
        let server = serve(installation, &dir)?;
        let mut broker = Self { server, installation: installation.clone(), endpoint, folder };
        broker.ready().await?;
        Ok(broker)
    }

    /// Stops it cleanly, lets `meanwhile` work on its database, and starts it again; gives the time until it was ready.
    pub async fn restart<F>(self, meanwhile: impl FnOnce(PathBuf) -> F) -> Result<(Self, Duration), Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let Self { server, installation, endpoint, folder } = self;
        server.stop()?;
        meanwhile(folder.path().join("kf/keyfold.db")).await?;
        let started = Instant::now();
        let server = serve(&installation, &folder.path().join("kf"))?;
        let mut broker = Self { server, installation, endpoint, folder };
        broker.ready().await?;
        Ok((broker, started.elapsed()))
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Ok(mut connection) = self.endpoint.connect().await
                && connection.send(Request::get("/readyz"), Vec::new()).await.is_ok()
            {
                return Ok(());
            }
            self.server.check()?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err("the broker did not become ready".into())
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("kf").join(name)
    }

    /// Makes a tenant whose KEK is in the software keystore.
    pub async fn software_tenant(&self, tenant: &str) -> Result<(), Failure> {
        let add = |command: &mut Command| {
            command.args(["keystore", "--keystore"]).arg(self.path("keystore.json"));
            command.arg("--passphrase-file").arg(self.path("passphrase")).args(["add", tenant]).stdout(Stdio::null());
        };
        run(&self.installation.keyfold, add)?;
        self.tenant(tenant, "software", tenant).await
    }

    /// Makes a tenant whose KEK is this key of a provider.
    pub async fn tenant(&self, tenant: &str, provider: &str, key: &str) -> Result<(), Failure> {
        let mut admin = self.admin().await?;
        admin.post("", &json!({"id": tenant, "name": tenant, "unattested_days": 30})).await?;
        admin.post(&format!("/{tenant}/keks"), &json!({"provider": provider, "key": key})).await?;
        Ok(())
    }

    /// `count` new users of the tenant, each with one enrolled device.
    pub async fn devices(&self, tenant: &str, count: usize) -> Result<Vec<Device>, Failure> {
        let mut enrolling = JoinSet::new();
        for number in 0..count {
            let (mut admin, endpoint) = (self.admin().await?, self.endpoint.clone());
            let (tenant, user) = (tenant.to_owned(), format!("user-{number}"));
            enrolling.spawn(async move {
                admin.post(&format!("/{tenant}/users"), &json!({"id": user})).await?;
                let code = admin.post(&format!("/{tenant}/enrolment-codes"), &json!({"user": user})).await?;
                let code = code["code"].as_str().ok_or("no code")?.parse().map_err(|_| "no enrolment code")?;
                Device::enrol(&endpoint, &tenant, code).await
            });
        }
        enrolling.join_all().await.into_iter().collect()
    }

    /// A connection of the administrator.
    pub async fn admin(&self) -> Result<Admin, Failure> {
        let token = fs::read_to_string(self.path("admin-token"))?;
        Ok(Admin { connection: self.endpoint.connect().await?, bearer: format!("Bearer {}", token.trim()) })
    }
}

/// Asks the admin API.
pub struct Admin {
    connection: Connection,
    bearer: String,
}

impl Admin {
    /// `path` comes after `/v1/admin/tenants`.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = Request::post(format!("/v1/admin/tenants{path}")).header("content-type", "application/json");
        self.send(request, serde_json::to_vec(body)?).await
    }

    /// As `post`.
    pub async fn get(&mut self, path: &str) -> Result<Value, Failure> {
        self.send(Request::get(format!("/v1/admin/tenants{path}")), Vec::new()).await
    }

    async fn send(&mut self, request: http::request::Builder, body: Vec<u8>) -> Result<Value, Failure> {
        let request = request.header("authorization", &self.bearer);
        Ok(serde_json::from_slice(&self.connection.send(request, body).await?.body)?)
    }
}

/// What `keyfold init` makes, in the folder `kf` of a new one: configuration, keystore, certificates.
pub fn initialised(installation: &Installation, port: u16) -> Result<TempDir, Failure> {
    let folder = TempDir::new_in(&installation.folder)?;
    run(&installation.keyfold, |command| {
        command.arg("init").arg(folder.path().join("kf")).args(["--port", &port.to_string()]).stdout(Stdio::null());
    })?;
    Ok(folder)
}

fn serve(installation: &Installation, dir: &Path) -> Result<Server, Failure> {
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
    let mut command = Command::new(&installation.keyfold);
    command.args(["serve", "--json-logs", "--config"]).arg(dir.join("keyfold.toml")).stdout(Stdio::null()).stderr(log);
    Server::start(&mut command)
}

/// Runs a program to its end; its failure is ours.
pub fn run(program: &Path, arguments: impl FnOnce(&mut Command)) -> Result<(), Failure> {
    let mut command = Command::new(program);
    arguments(&mut command);
    let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", program.display()).into()) }
}

/// A port of the loopback that nobody listens on.
pub fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
