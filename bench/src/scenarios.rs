//! What is measured, in which order.

use crate::Failure;
use crate::bao::Bao;
use crate::broker::{Broker, Installation};
use crate::device::{Device, Questions, ReceiveKeys, Restores, Wraps};
use crate::fill::fill;
use crate::load;
use crate::report::{Footprint, Growth, Leaves, Report};
use crate::token::Token;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::task::JoinSet;

/// Closed loops at the same time.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// As many as can usefully wait for one batch.
const MOST_CLIENTS: usize = 256;
/// Seconds that each load is measured.
const SECONDS: u64 = 6;
/// Receive keys made before a load of that time.
const KEYS: usize = 12_000;
/// Backups made before a load of that time, for all clients together.
const BACKUPS: usize = 12_000;
/// What is backed up first, and restored.
const KIND: &str = "identity";

const SOFTWARE: &str = "keyfold, software";
const SOFTHSM: &str = "keyfold, SoftHSM2";
const BASELINE: &str = "OpenBao";

/// Restores, backups, and the baseline's decrypts, for the same numbers of clients and all servers running.
pub async fn throughput(installation: &Installation, bao: &Path, report: &mut Report) -> Result<(), Failure> {
    let token = Token::make(&installation.folder)?;
    let has_token = token.is_some();
    let broker = Broker::start(installation, token).await?;
    let bao = Bao::start(bao, &installation.folder, &broker.path("")).await?;
    for tenant in ["restores", "backups"] {
        broker.software_tenant(tenant).await?;
    }
    let mut restoring = backed_up(broker.devices("restores", MOST_CLIENTS).await?, &[KIND.into()]).await?;
    let mut on_token = Vec::new();
    if has_token {
        broker.token_tenant("softhsm").await?;
        on_token = backed_up(broker.devices("softhsm", CLIENTS[2]).await?, &[KIND.into()]).await?;
    }
    let mut wrapping = broker.devices("backups", CLIENTS[2]).await?;
    for clients in CLIENTS {
        report.add(restores(SOFTWARE, &broker, &mut restoring, clients).await?)?;
        if has_token {
            report.add(restores(SOFTHSM, &broker, &mut on_token, clients).await?)?;
        }
        let decrypts = bao.clients(clients).await?;
        report.add(load::run((BASELINE, "decrypt"), &bao.server, decrypts, SECONDS).await?.0)?;
        report.add(wraps(&broker, &mut wrapping, clients).await?)?;
    }
    report.compare(BASELINE);
    let over_https = questions(&broker, restoring).await?;
    report.leaves = Some(Leaves { over_https, committer: committer(installation)? });
    Ok(())
}

/// Each device backs up each kind.
async fn backed_up(devices: Vec<Device>, kinds: &[String]) -> Result<Vec<Device>, Failure> {
    let mut backing_up = JoinSet::new();
    for mut device in devices {
        let kinds = kinds.to_vec();
        backing_up.spawn(async move {
            for kind in &kinds {
                device.back_up(kind).await?;
            }
            Ok(device)
        });
    }
    backing_up.join_all().await.into_iter().collect()
}

/// As many of the devices as there are to be clients restore; all are given back.
async fn restores(
    server: &'static str,
    broker: &Broker,
    devices: &mut Vec<Device>,
    clients: usize,
) -> Result<load::Measured, Failure> {
    let loops = restoring(broker, devices.drain(..clients), &[KIND.into()], KEYS).await?;
    let (measured, loops) = load::run((server, "restore"), &broker.server, loops, SECONDS).await?;
    devices.extend(loops.into_iter().map(|restores| restores.device));
    Ok(measured)
}

/// The loops of these devices, connected anew, with so many keys made before; each begins with another kind.
async fn restoring(
    broker: &Broker,
    devices: impl Iterator<Item = Device>,
    kinds: &[String],
    keys: usize,
) -> Result<Vec<Restores>, Failure> {
    let keys = ReceiveKeys::make(keys);
    let devices = connected(broker, devices).await?.into_iter().enumerate();
    Ok(devices.map(|(done, device)| Restores { device, kinds: kinds.to_vec(), keys: keys.clone(), done }).collect())
}

/// The broker ends connections that are idle for some seconds.
async fn connected(broker: &Broker, devices: impl Iterator<Item = Device>) -> Result<Vec<Device>, Failure> {
    let mut connected = Vec::new();
    for mut device in devices {
        device.reconnect(broker.endpoint()).await?;
        connected.push(device);
    }
    Ok(connected)
}

async fn wraps(broker: &Broker, devices: &mut Vec<Device>, clients: usize) -> Result<load::Measured, Failure> {
    let kind = format!("archive-{clients}");
    let mut loops = Vec::new();
    for device in devices.drain(..clients) {
        loops.push(Wraps::prepare(device, &kind, (BACKUPS / clients.max(4)) as u64)?);
    }
    for wraps in &mut loops {
        wraps.device.reconnect(broker.endpoint()).await?;
    }
    let (measured, loops) = load::run((SOFTWARE, "wrap"), &broker.server, loops, SECONDS).await?;
    devices.extend(loops.into_iter().map(|wraps| wraps.device));
    Ok(measured)
}

/// The growth of one tenant's log in a second, while every device asks for restores.
async fn questions(broker: &Broker, devices: Vec<Device>) -> Result<f64, Failure> {
    let loops = restoring(broker, devices.into_iter(), &[KIND.into()], 3 * KEYS).await?;
    let loops = loops.into_iter().map(Questions).collect();
    let asked = load::run((SOFTWARE, "question"), &broker.server, loops, SECONDS).await?.0;
    Ok(asked.per_second)
}

fn committer(installation: &Installation) -> Result<f64, Failure> {
    let said = Command::new(&installation.keyfold).arg("bench").arg(&installation.folder).output()?;
    let text = String::from_utf8(said.stdout)?;
    let rate = text.split_whitespace().next().and_then(|word| word.parse().ok());
    rate.ok_or_else(|| format!("keyfold bench: {}", String::from_utf8_lossy(&said.stderr)).into())
}

/// How soon a broker is ready, and how much memory it holds.
pub async fn footprint(installation: &Installation) -> Result<Footprint, Failure> {
    let mut broker = Broker::start(installation, None).await?;
    let mut ready_ms = Vec::new();
    for _ in 0..10 {
        let (again, took) = broker.restart(|_| async { Ok(()) }).await?;
        broker = again;
        ready_ms.push(took.as_secs_f64() * 1e3);
    }
    ready_ms.sort_unstable_by(f64::total_cmp);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle_mib = broker.server.resident_mib()?;
    let (broker, devices) = filled(broker, 16, &[KIND.into()], 100_000).await?;
    let loops = restoring(&broker, devices.into_iter(), &[KIND.into()], KEYS).await?;
    load::run((SOFTWARE, "restore"), &broker.server, loops, SECONDS).await?;
    Ok(Footprint { ready_ms, idle_mib, loaded_mib: broker.server.resident_mib()? })
}

/// The broker restarted with so many records, of which `users` users can restore one of each kind.
async fn filled(
    broker: Broker,
    users: usize,
    kinds: &[String],
    records: i64,
) -> Result<(Broker, Vec<Device>), Failure> {
    broker.software_tenant("restores").await?;
    let devices = backed_up(broker.devices("restores", users).await?, kinds).await?;
    let (broker, _) = broker.restart(|database| async move { fill(&database, records).await }).await?;
    Ok((broker, devices))
}

/// The same load on 1,000 and on 1,000,000 records, in turns, so that a noisy minute spoils both alike.
pub async fn growth(installation: &Installation) -> Result<Vec<Growth>, Failure> {
    const SMALL: i64 = 1_000;
    const LARGE: i64 = 1_000_000;
    const USERS: usize = 20;
    let kinds: Vec<String> = (0..SMALL / USERS as i64).map(|number| format!("kind-{number}")).collect();
    let mut small = filled(Broker::start(installation, None).await?, USERS, &kinds, SMALL).await?;
    let mut large = filled(Broker::start(installation, None).await?, USERS, &kinds, LARGE).await?;
    let mut growth = Vec::new();
    for clients in [1, USERS] {
        let mut medians = [Vec::new(), Vec::new()];
        for _ in 0..3 {
            medians[0].push(median(&mut small, &kinds, clients).await?);
            medians[1].push(median(&mut large, &kinds, clients).await?);
        }
        let [small, large] = medians.map(|mut medians| {
            medians.sort_unstable_by(f64::total_cmp);
            medians[1]
        });
        growth.push(Growth { clients, small: (SMALL, small), large: (LARGE, large), ratio: large / small });
    }
    Ok(growth)
}

async fn median(
    (broker, devices): &mut (Broker, Vec<Device>),
    kinds: &[String],
    clients: usize,
) -> Result<f64, Failure> {
    let loops = restoring(broker, devices.drain(..clients), kinds, KEYS).await?;
    let (measured, loops) = load::run((SOFTWARE, "restore"), &broker.server, loops, SECONDS).await?;
    devices.extend(loops.into_iter().map(|restores| restores.device));
    Ok(measured.p50_ms)
}
