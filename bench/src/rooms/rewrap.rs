//! How fast records move from an HSM to OpenBao, alone and beside devices that restore.

use super::neighbours::PACE;
use super::report::{Report, Rewrapped};
use super::subject::{CALLS, Place};
use crate::Failure;
use crate::bao::Bao;
use crate::broker::{Admin, Broker};
use crate::device::Device;
use crate::devices::{backed_up, restoring};
use crate::load::{Load, Rate};
use crate::token::{MODULE, Token};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Records that move: so many users with so many kinds each.
const USERS: usize = 20;
const KINDS: usize = 250;
/// Of the users, so many restore.
const CLIENTS: usize = 8;
/// Workers of the HSM's module.
const WORKERS: usize = 4;
/// A tenant for each measurement, and the name of its keys.
const TENANTS: [&str; 2] = ["alone", "beside"];

/// First one tenant's records with no other load, then another's while its devices restore.
pub async fn measure(place: &Place, seconds: u64, report: &mut Report) -> Result<(), Failure> {
    let token = Token::make(&place.installation.folder)?.ok_or("SoftHSM2 is not installed")?;
    let bao = Bao::start(&place.bao, &place.installation.folder, &place.path("")).await?;
    for tenant in TENANTS {
        token.add_key(tenant)?;
        bao.add_key(tenant).await?;
    }
    let calls = format!("calls = {{ concurrency = {CALLS} }}\n");
    let hsm = token.section("hsm", Path::new(MODULE), &format!("workers = {WORKERS}\n{calls}"));
    let broker = Broker::start(&place.installation, &(bao.section("bao", &calls)? + &hsm)).await?;
    alone(&broker, report).await?;
    beside(&broker, Duration::from_secs(seconds), report).await
}

async fn alone(broker: &Broker, report: &mut Report) -> Result<(), Failure> {
    backed_up_on_hsm(broker, TENANTS[0], &kinds()).await?;
    let moved = move_to_openbao(broker, TENANTS[0]).await?;
    report.rewrapped(moved.with(None))
}

/// The devices restore for a while with nothing beside them, to compare with.
async fn beside(broker: &Broker, before: Duration, report: &mut Report) -> Result<(), Failure> {
    let kinds = kinds();
    let mut devices = backed_up_on_hsm(broker, TENANTS[1], &kinds).await?;
    let loops = restoring(broker, devices.drain(..CLIENTS), &kinds, 10_000).await?;
    let load = Load::begin(loops, Some(PACE));
    sleep(Duration::from_secs(1)).await;
    let from = Instant::now();
    sleep(before).await;
    let moved = move_to_openbao(broker, TENANTS[1]).await?;
    let (times, _) = load.end().await?;
    let restores = (times.between(from, moved.begun), times.between(moved.begun, moved.completed));
    report.rewrapped(moved.with(Some(restores)))
}

async fn backed_up_on_hsm(broker: &Broker, tenant: &str, kinds: &[String]) -> Result<Vec<Device>, Failure> {
    broker.tenant(tenant, "hsm", tenant).await?;
    backed_up(broker.devices(tenant, USERS).await?, kinds).await
}

fn kinds() -> Vec<String> {
    (0..KINDS).map(|number| format!("kind-{number}")).collect()
}

/// When what was reached.
struct Moved {
    begun: Instant,
    /// No record is left under the old KEK.
    moved: Instant,
    /// Each was opened once more.
    completed: Instant,
}

impl Moved {
    fn with(&self, restores: Option<(Rate, Rate)>) -> Rewrapped {
        let records = USERS * KINDS;
        Rewrapped {
            records,
            per_second: records as f64 / (self.moved - self.begun).as_secs_f64(),
            verified_per_second: records as f64 / (self.completed - self.moved).as_secs_f64(),
            restores_before: restores.map(|(before, _)| before),
            restores_beside: restores.map(|(_, beside)| beside),
        }
    }
}

async fn move_to_openbao(broker: &Broker, tenant: &str) -> Result<Moved, Failure> {
    let mut admin = broker.admin().await?;
    let kek = admin.post(&format!("/{tenant}/keks"), &json!({"provider": "bao", "key": tenant})).await?;
    admin.post(&format!("/{tenant}/protection"), &json!({"kek": kek["id"]})).await?;
    let begun = Instant::now();
    let rewrap = admin.post(&format!("/{tenant}/rewraps"), &json!({})).await?;
    let path = format!("/{tenant}/rewraps/{}", rewrap["id"].as_str().ok_or("a rewrap without id")?);
    reached(&mut admin, &path, |rewrap| rewrap["remaining"] == 0).await?;
    let moved = Instant::now();
    reached(&mut admin, &path, |rewrap| rewrap["state"] == "completed").await?;
    Ok(Moved { begun, moved, completed: Instant::now() })
}

async fn reached(admin: &mut Admin, path: &str, there: impl Fn(&Value) -> bool) -> Result<(), Failure> {
    loop {
        let rewrap = admin.get(path).await?;
        if there(&rewrap) {
            return Ok(());
        }
        if rewrap["state"] != "running" {
            return Err(format!("the rewrap does not go on: {rewrap}").into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}
