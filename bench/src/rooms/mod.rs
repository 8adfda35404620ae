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

/// Measures all of it, with loads of so many seconds; gives the path of the results.
pub async fn measure(
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
    rate::all(&place, seconds, &mut report).await?;
    neighbours::measure(&place, seconds, &mut report).await?;
    rewrap::measure(&place, seconds, &mut report).await?;
    report.finish(&folder)
}
