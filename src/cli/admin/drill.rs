//! `keyfold admin drill`: proves, month by month, that records can still be opened.

use super::client::Client;
use crate::api;
use crate::cli::Failure;
use clap::Args;

/// Open a random sample of a tenant's records, and release nothing; fails when any does not open.
#[derive(Debug, Args)]
pub(super) struct Drill {
    /// The tenant.
    tenant: String,
    /// How many records, 1 to 1000.
    #[arg(long, default_value_t = 100)]
    sample: u16,
}

impl Drill {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let ask = api::AskDrill { sample: self.sample };
        let drill: api::Drill = client.post(&format!("{}/drills", self.tenant), &ask).await?;
        client.show(&drill, described)?;
        if drill.opened == drill.sampled {
            return Ok(());
        }
        Err(format!("of {} records {} were opened", drill.sampled, drill.opened).into())
    }
}

fn described(drill: &api::Drill) -> String {
    let api::Drill { sampled, opened, untried, failed, keks, .. } = drill;
    let keks = keks.iter().map(|kek| format!("\n{}: {} opened, {} failed", kek.kek, kek.opened, kek.failed));
    let failed =
        failed.iter().map(|failed| format!("\nrecord {} under {}: {}", failed.record, failed.kek, failed.code));
    format!("{sampled} sampled, {opened} opened, {untried} not tried{}", keks.chain(failed).collect::<String>())
}
