//! What the broker adds to each provider, and what one provider's trouble does to another's tenants.

mod emulators;
mod neighbours;
mod rate;
mod report;
mod rewrap;
mod subject;

use crate::Failure;
use crate::broker::Installation;
use crate::machine::Machine;
use report::Report;
use std::path::PathBuf;
use subject::Place;

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Unwraps of the rooms, and restores through a broker.
    Rates,
    /// A tenant's restores beside a module that misbehaves.
    Neighbours,
    /// Records that move.
    Rewrap,
}

impl Part {
    /// In this order.
    pub const ALL: [Self; 3] = [Self::Rates, Self::Neighbours, Self::Rewrap];

    /// By its word on the command line.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "rates" => Some(Self::Rates),
            "neighbours" => Some(Self::Neighbours),
            "rewrap" => Some(Self::Rewrap),
            _ => None,
        }
    }
}

/// Measures these parts, with loads of so many seconds; gives the path of the results.
pub async fn measure(
    parts: &[Part],

    installation: Installation,
    bao: PathBuf,
    machine: Machine,
    seconds: u64,
) -> Result<PathBuf, Failure> {
    // An error means that somebody has chosen by now.
    let _chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = installation.folder.clone();
    let place = Place::new(installation, bao)?;
    let mut report = Report::new(machine)?;
    for part in parts {
        match part {
            Part::Rates => rate::all(&place, seconds, &mut report).await?,
            Part::Neighbours => neighbours::measure(&place, seconds, &mut report).await?,
            Part::Rewrap => rewrap::measure(&place, seconds, &mut report).await?,
        }
    }
    report.finish(&folder)
}
