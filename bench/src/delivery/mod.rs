//! What delivery does: events a second through each kind of receiver, with the broker's memory meanwhile, and what restores
//! feel of a sink that is busy or hangs.

mod felt;
mod rate;
mod receiver;
mod report;
mod scene;

use crate::Failure;
use crate::broker::Installation;
use crate::machine::Machine;
use report::Report;
use scene::Scene;
use std::path::PathBuf;

/// Measures with a log of at least so many events, and with loads of so many seconds; gives the path of the results.
pub async fn measure(
    installation: Installation,
    machine: Machine,
    (events, seconds): (u64, u64),
) -> Result<PathBuf, Failure> {
    // An error means that somebody has chosen by now.
    let _chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut report = Report::new(machine, events)?;
    let scene = Scene::start(&installation, events).await?;
    let scene = rate::all(scene, &mut report).await?;
    felt::measure(scene, seconds, &mut report).await?;
    report.finish(&installation.folder)
}
