use crate::error::Error;
use crate::lively;
use crate::stage::Stage;
use device::Verifier;
use protocol::enrolment::EnrolmentCode;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::Ipv4Addr;
use std::process::ExitStatus;
use std::str;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

/// The tenant of the story.
pub(crate) const TENANT: &str = "acme";
/// Whose devices they are.
pub(crate) const USER: &str = "alice";
/// The file with the verifier key that was pinned when the tenant was made.
pub(crate) const PINNED: &str = "pinned-vkey";

const LOG: &str = "broker.log";
const PRINTED: &str = "broker.out";
const PATIENCE: Duration = Duration::from_secs(30);

/// `keyfold serve` in a process of its own, and its operator. Dropping it kills the process.
pub(crate) struct Broker<'a> {
    stage: &'a Stage,
    process: Child,
    port: u16,
}

#[derive(Deserialize)]
struct Tenant {
    vkey: String,
}

#[derive(Deserialize)]
struct Device {
    id: String,
    name: String,
    state: String,
}

impl<'a> Broker<'a> {
    /// Makes a folder with the embedded defaults, and serves from it until an administrator gets an answer over TLS.
    pub(crate) async fn start(stage: &'a Stage, lively: bool) -> Result<Self, Error> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        stage.run(&format!("init broker --port {port}")).await?;
        if lively {
            lively::demand_approvals(stage)?;
        }
        let process = stage.spawn("serve --config broker/keyfold.toml", [LOG, PRINTED])?;
        let mut broker = Self { stage, process, port };
        timeout(PATIENCE, broker.listens()).await.map_err(|_| broker.late())??;
        broker.admin("tenant list").await?;
        Ok(broker)
    }

    /// Ends it as an operator does; it must end well.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        if let Some(pid) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        let status = timeout(PATIENCE, self.process.wait()).await.map_err(|_| self.late())??;
        if status.success() { Ok(()) } else { Err(self.ended(status)) }
    }

    /// The link with which the first administrator gets into the console.
    pub(crate) fn console_link(&self) -> Result<String, Error> {
        let printed = self.stage.read(PRINTED)?;
        let link = printed.lines().find_map(|line| line.strip_prefix("first administrator: "));
        Ok(link.ok_or(Error::Printed("serve"))?.to_owned())
    }

    /// Where devices reach it.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Makes the tenant, its KEK in the software keystore, and its user; pins the verifier key of its log.
    pub(crate) async fn create_tenant(&self) -> Result<(), Error> {
        let made: Tenant = self.admin_json("tenant create acme --unattested-days 30").await?;
        self.stage.write(PINNED, made.vkey.as_bytes())?;
        let keystore = "keystore --keystore broker/keystore.json --passphrase-file broker/passphrase";
        self.stage.run(&format!("{keystore} add {TENANT}")).await?;
        self.admin(&format!("kek register {TENANT} --provider software --key {TENANT}")).await?;
        self.create_user(USER).await
    }

    /// Makes a user.
    pub(crate) async fn create_user(&self, user: &str) -> Result<(), Error> {
        self.admin(&format!("user create {TENANT} {user}")).await?;
        Ok(())
    }

    /// The verifier key of the tenant's log, as it was pinned.
    pub(crate) fn log_key(&self) -> Result<Verifier, Error> {
        Verifier::parse(&self.stage.read(PINNED)?).map_err(|_| Error::Printed("admin tenant create"))
    }

    /// A one-time enrolment code for the user.
    pub(crate) async fn enrolment_code(&self, user: &str) -> Result<EnrolmentCode, Error> {
        let printed = self.admin(&format!("enrolment-code {TENANT} {user}")).await?;
        let code = str::from_utf8(&printed).map_err(|_| Error::Printed("admin enrolment-code"))?;
        Ok(code.trim_end().parse()?)
    }

    /// The id of the active device that calls itself `name`.
    pub(crate) async fn device_id(&self, name: &str) -> Result<String, Error> {
        let devices: Vec<Device> = self.admin_json("devices acme").await?;
        let found = devices.into_iter().find(|device| device.name == name && device.state == "active");
        Ok(found.ok_or(Error::Printed("admin devices"))?.id)
    }

    /// Takes the device's access away.
    pub(crate) async fn revoke(&self, device: &str) -> Result<(), Error> {
        self.admin(&format!("revoke {TENANT} --reason lost-in-a-taxi device {device}")).await?;
        Ok(())
    }

    /// Exports the tenant's log into the stage's folder.
    pub(crate) async fn export_log(&self) -> Result<(), Error> {
        let vkey = self.stage.read(PINNED)?;
        self.admin(&format!("export {TENANT} --out . --vkey {vkey}")).await?;
        Ok(())
    }

    async fn admin_json<T: DeserializeOwned>(&self, command: &'static str) -> Result<T, Error> {
        let printed = self.admin(&format!("{command} --json")).await?;
        serde_json::from_slice(&printed).map_err(|_| Error::Printed(command))
    }

    async fn admin(&self, command: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let url = self.url();
        let options = format!("--url {url} --ca broker/ca.pem --token-file broker/admin-token");
        self.stage.run(&format!("admin {options} {command}")).await
    }

    async fn listens(&mut self) -> Result<(), Error> {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(self.ended(status));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::BrokerEnded { status, log: self.stage.path(LOG) }
    }

    fn late(&self) -> Error {
        Error::BrokerLate { limit: PATIENCE, log: self.stage.path(LOG) }
    }
}
