//! The same restores with no sink, with one that keeps up, one that catches up with a long log, one that refuses and one that
//! hangs, and while rules read the log again: in turns, so that a noisy minute spoils all alike.

use super::receiver::{Manner, Receiver};
use super::report::{Felt, Report};
use super::scene::{Scene, without_findings};
use crate::Failure;
use crate::device::{Device, Restores};
use crate::devices::{backed_up, restoring};
use crate::load::{Load, Rate};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const TENANT: &str = "restores";
const KIND: &str = "identity";
const CLIENTS: usize = 8;
/// Each client begins a restore once in this time, the machine being far from full: else the clients disturb each other.
const PACE: Duration = Duration::from_millis(80);
/// Load before the clock starts.
const WARM_UP: Duration = Duration::from_secs(2);
const ROUNDS: usize = 7;
const SINK: &str = "beside";

/// Restores for `seconds` under each condition, round after round.
pub async fn measure(scene: Scene, seconds: u64, report: &mut Report) -> Result<(), Failure> {
    let folder = scene.broker.path("");
    let start = |manner| Receiver::start(&folder, manner);
    let (taking, refusing, hanging) =
        (start(Manner::Takes).await?, start(Manner::Refuses).await?, start(Manner::Hangs).await?);
    let with = |receiver: &Receiver| without_findings() + &receiver.section(SINK);
    let conditions = [
        ("no sink", without_findings(), Some(SINK)),
        ("a sink that keeps up", with(&taking), Some(SINK)),
        ("a sink that catches up", with(&taking), None),
        ("a sink that refuses", with(&refusing), None),
        ("a sink that hangs", with(&hanging), None),
        ("findings", String::new(), None),
    ];
    scene.broker.software_tenant(TENANT).await?;
    let mut devices = backed_up(scene.broker.devices(TENANT, CLIENTS).await?, &[KIND.into()]).await?;
    let (mut scene, mut rates) = (scene, conditions.each_ref().map(|_| Vec::new()));
    for _ in 0..ROUNDS {
        for ((_, sections, through), rates) in conditions.iter().zip(&mut rates) {
            scene = scene.with(sections, *through).await?;
            let (rate, again) = restores(&scene, devices, Duration::from_secs(seconds)).await?;
            devices = again;
            rates.push((rate, lag(&scene).await?));
        }
    }
    for ((condition, ..), rates) in conditions.iter().zip(rates) {
        report.felt(Felt::new(condition, &rates))?;
    }
    Ok(())
}

async fn restores(scene: &Scene, devices: Vec<Device>, time: Duration) -> Result<(Rate, Vec<Device>), Failure> {
    let begun = CLIENTS * ((WARM_UP + time).as_millis() / PACE.as_millis()) as usize;
    let loops: Vec<Restores> = restoring(&scene.broker, devices.into_iter(), &[KIND.into()], begun).await?;
    let load = Load::begin(loops, Some(PACE));
    sleep(WARM_UP).await;
    let from = Instant::now();
    sleep(time).await;
    let until = Instant::now();
    let (times, loops) = load.end().await?;
    Ok((times.between(from, until), loops.into_iter().map(|restores| restores.device).collect()))
}

/// What was still to be done when the clock stopped: a condition that ended before it is none.
async fn lag(scene: &Scene) -> Result<f64, Failure> {
    let mut metrics = scene.metrics().await?;
    let sink = metrics.value(&format!("keyfold_sink_lag_events{{sink=\"{SINK}\"}}")).await?;
    Ok(sink + metrics.value("keyfold_findings_lag_events").await?)
}
