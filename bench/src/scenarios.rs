//! What is measured, in which order.

use crate::Failure;
use crate::bao::Bao;
use crate::broker::{Broker, Installation};
use crate::device::{Device, Questions, Wraps};
use crate::devices::{backed_up, restoring};
use crate::fill::fill;
use crate::load;
use crate::report::{Footprint, Growth, Leaves, Report};
use crate::token::{self, Token};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

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
    let hsm = token.as_ref().map(|token| token.section("hsm", Path::new(token::MODULE), "")).unwrap_or_default();
    let broker = Broker::start(installation, &hsm).await?;
    let bao = Bao::start(bao, &installation.folder, &broker.path("")).await?;
    for tenant in ["restores", "backups"] {
        broker.software_tenant(tenant).await?;
    }
    let mut restoring = backed_up(broker.devices("restores", MOST_CLIENTS).await?, &[KIND.into()]).await?;
    let mut on_token = Vec::new();
    if has_token {
        broker.tenant("softhsm", "hsm", Token::KEY).await?;
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
    Ok(asked.rate.per_second)
}

fn committer(installation: &Installation) -> Result<f64, Failure> {
    let said = Command::new(&installation.keyfold).arg("bench").arg(&installation.folder).output()?;
    let text = String::from_utf8(said.stdout)?;
    let rate = text.split_whitespace().next().and_then(|word| word.parse().ok());
    rate.ok_or_else(|| format!("keyfold bench: {}", String::from_utf8_lossy(&said.stderr)).into())
}

/// How soon a broker is ready, and how much memory it holds.
pub async fn footprint(installation: &Installation) -> Result<Footprint, Failure> {
    let mut broker = Broker::start(installation, "").await?;
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
    let mut small = filled(Broker::start(installation, "").await?, USERS, &kinds, SMALL).await?;
    let mut large = filled(Broker::start(installation, "").await?, USERS, &kinds, LARGE).await?;
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
    Ok(measured.rate.p50_ms)
}
