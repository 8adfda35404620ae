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

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Events a second to each kind of receiver.
    Rates,
    /// What restores feel.
    Felt,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rates, Self::Felt];

    /// `rates` or `felt`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "rates" => Some(Self::Rates),
            "felt" => Some(Self::Felt),
            _ => None,
        }
    }
}

/// Measures with a log of at least so many events, and with loads of so many seconds; gives the path of the results.
pub async fn measure(
    installation: Installation,
    machine: Machine,
    parts: &[Part],
    (events, seconds): (u64, u64),
) -> Result<PathBuf, Failure> {
    // An error means that somebody has chosen by now.
    let _chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut report = Report::new(machine, events)?;
    let scene = Scene::start(&installation, events).await?;
    let scene = if parts.contains(&Part::Rates) { rate::all(scene, &mut report).await? } else { scene };
    if parts.contains(&Part::Felt) {
        felt::measure(scene, seconds, &mut report).await?;
    }
    report.finish(&installation.folder)
}
