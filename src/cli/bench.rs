//! `keyfold bench`: how many durable leaves a second this machine and its disk give.

use super::init::Init;
use super::{Failure, output, serve};
use crate::broker::Broker;
use crate::caller::{AdminCaller, Newcomer, Source};
use crate::commit::{Change, Principal, Proposal};
use crate::config::Config;
use crate::directory::Particulars;
use crate::error::Error;
use crate::ops;
use audit::event::{Event, Kind, Outcome};
use clap::Args;
use protocol::jws::DeviceKey;
use protocol::messages::Enrol;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Devices that ask, and how many requests of each wait at a time.
const DEVICES: usize = 64;
const WAITING: usize = 16;
const TENANT: &str = "bench";

/// Measure how many durable leaves a second the committer writes on this machine: each is signed, gated by the standing
/// of a device, spends a nonce, and is in the database before the next one of its kind begins. Nothing else runs.
#[derive(Debug, Args)]
pub struct Bench {
    /// A folder on the disk to measure; a folder is made in it, and removed.
    folder: PathBuf,
    /// For how long.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Measure nothing: the folder is that of a broker which does not run, and its new tenant `bench` gets a log of at
    /// least so many events.
    #[arg(long, conflicts_with = "seconds")]
    fill: Option<u64>,
}

impl Bench {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        if let Some(events) = self.fill {
            let leaves = runtime.block_on(fill(&self.folder, events))?;
            return output::line(&format!("{leaves} events"));
        }
        let folder = self.folder.join(format!("keyfold-bench-{}", std::process::id()));
        let measured = runtime.block_on(measure(&folder, Duration::from_secs(self.seconds)));
        std::fs::remove_dir_all(&folder)?;
        output::line(&format!("{:.0} durable leaves per second", measured?))
    }
}

async fn measure(folder: &Path, time: Duration) -> Result<f64, Failure> {
    Init::local(folder.into()).make()?;
    // The clock starts with the first answer, when everybody asks.
    let started = OnceLock::new();
    let leaves = ask_all(folder, move || started.get_or_init(Instant::now).elapsed() < time).await?;
    Ok(f64::from(leaves) / time.as_secs_f64())
}

async fn fill(folder: &Path, events: u64) -> Result<u32, Failure> {
    let done = AtomicU64::new(0);
    ask_all(folder, move || done.fetch_add(1, Ordering::Relaxed) < events).await
}

/// Has all devices ask as long as an answer still counts; gives how many did.
async fn ask_all(folder: &Path, counts: impl Fn() -> bool + Send + Sync + 'static) -> Result<u32, Failure> {
    let (broker, committer) = serve::open(&Config::read(&folder.join("keyfold.toml"))?, Handle::current()).await?;
    let (devices, counts) = (devices(&broker).await?, Arc::new(counts));
    let mut asking = JoinSet::new();
    for device in devices.iter().cycle().take(DEVICES * WAITING) {
        asking.spawn(ask(broker.clone(), device.clone(), counts.clone()));
    }
    let mut leaves = 0_u32;
    while let Some(asked) = asking.join_next().await {
        leaves += asked??;
    }
    serve::close(broker, committer).await;
    Ok(leaves)
}

/// Enrolled devices, each of a user of its own.
async fn devices(broker: &Broker) -> Result<Vec<Principal>, Failure> {
    let source = Source { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), agent: None };
    let admin = AdminCaller::configured("bench", source.clone());
    ops::admin::create_tenant(broker, &admin, (TENANT, TENANT, Some(1))).await?;
    let mut devices = Vec::with_capacity(DEVICES);
    for number in 0..DEVICES {
        let user = format!("user-{number}");
        ops::users::create(broker, &admin, TENANT, (&user.parse()?, Particulars::default())).await?;
        let expiry = broker.clock.now() + 60_000;
        let code = ops::admin::create_code(broker, &admin, TENANT, (&user, expiry)).await?;
        let key = DeviceKey::generate_p256().public().clone();
        let nonce = (Uuid::new_v4().into_bytes(), expiry);
        let newcomer = Newcomer { tenant: TENANT.parse()?, key, nonce, source: source.clone() };
        let ask = Enrol { code, name: "bench".parse()?, platform: "bench".parse()? };
        let device = ops::enrol::enrol(broker, &newcomer, ask).await?.device;
        devices.push(Principal { user, device });
    }
    Ok(devices)
}

/// One request after the other; gives how many of the answers counted.
async fn ask(broker: Arc<Broker>, asker: Principal, counts: Arc<impl Fn() -> bool>) -> Result<u32, Error> {
    let mut leaves = 0;
    loop {
        let now = broker.clock.now();
        let event = Event::new(Kind::RestoreRequested, Outcome::OK)
            .device(asker.device.to_string())
            .user(&*asker.user)
            .correlation(Uuid::now_v7())
            .policy_digest(broker.policies.default_rules().digest);
        let proposal = Proposal {
            tenant: TENANT.into(),
            nonce: Some((Uuid::new_v4().into_bytes(), now)),
            principal: Some(asker.clone()),
            change: Change::Remark,
            event,
            refused_as: Kind::RestoreDenied,
            subject: asker.user.clone(),
            notices: Vec::new(),
        };
        broker.committer.commit(proposal).await?;
        if !counts() {
            return Ok(leaves);
        }
        leaves += 1;
    }
}
