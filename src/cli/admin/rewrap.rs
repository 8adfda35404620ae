//! `keyfold admin rewrap`: records move to the KEKs that their tenant wants.

use super::client::Client;
use crate::api;
use crate::cli::{Failure, output};
use clap::Subcommand;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum Rewrap {
    /// Wrap anew every record that is not under the tenant's KEKs and their versions.
    Start {
        /// The tenant.
        tenant: String,
        /// At most so many records a second: leave devices their part of the vendor's quota.
        #[arg(long)]
        per_second: Option<u32>,
        /// Do not open every record once more at the end.
        #[arg(long)]
        no_verify: bool,
        /// Show progress until it is over; it goes on when this is interrupted.
        #[arg(long)]
        wait: bool,
    },
    /// Show how far a rewrap is.
    Show {
        /// The tenant.
        tenant: String,
        /// The rewrap.
        id: Uuid,
        /// Show progress until it is over.
        #[arg(long)]
        wait: bool,
    },
    /// List a tenant's rewraps.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Let a rewrap wait.
    Pause {
        /// The tenant.
        tenant: String,
        /// The rewrap.
        id: Uuid,
    },
    /// Let a paused rewrap go on.
    Resume {
        /// The tenant.
        tenant: String,
        /// The rewrap.
        id: Uuid,
    },
    /// Give a rewrap up; what was wrapped anew stays so.
    Stop {
        /// The tenant.
        tenant: String,
        /// The rewrap.
        id: Uuid,
    },
}

impl Rewrap {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::Start { tenant, per_second, no_verify, wait } => {
                let ask = api::StartRewrap { per_second, verify: Some(!no_verify) };
                let begun: api::Rewrap = client.post(&format!("{tenant}/rewraps"), &ask).await?;
                show(client, &tenant, begun, wait).await
            }
            Self::Show { tenant, id, wait } => {
                let rewrap = client.get(&format!("{tenant}/rewraps/{id}"), &()).await?;
                show(client, &tenant, rewrap, wait).await
            }
            Self::List { tenant } => {
                let headings = &["REWRAP", "STATE", "REASON", "RECORDS", "STARTED", "CHANGED"];
                client.list(&format!("{tenant}/rewraps"), headings, row).await
            }
            Self::Pause { tenant, id } => step(client, &tenant, id, api::RewrapStep::Pause).await,
            Self::Resume { tenant, id } => step(client, &tenant, id, api::RewrapStep::Resume).await,
            Self::Stop { tenant, id } => step(client, &tenant, id, api::RewrapStep::Stop).await,
        }
    }
}

fn row(rewrap: &api::Rewrap) -> Vec<String> {
    let api::Rewrap { id, state, reason, total, started_at, changed_at, .. } = rewrap.clone();
    vec![id.to_string(), state, reason, total.to_string(), output::time(started_at), output::time(changed_at)]
}

async fn step(client: &Client, tenant: &str, id: Uuid, step: api::RewrapStep) -> Result<(), Failure> {
    let rewrap = client.post(&format!("{tenant}/rewraps/{id}"), &api::StepRewrap { step }).await?;
    show(client, tenant, rewrap, false).await
}

/// Prints where it stands, with `wait` once a second on stderr until it is over. Paused by itself is a failure.
async fn show(client: &Client, tenant: &str, mut rewrap: api::Rewrap, wait: bool) -> Result<(), Failure> {
    while wait && rewrap.state == "running" {
        eprintln!("{}", progress(&rewrap));
        sleep(Duration::from_secs(1)).await;
        rewrap = client.get(&format!("{tenant}/rewraps/{}", rewrap.id), &()).await?;
    }
    client.show(&rewrap, |rewrap| format!("{} {}", rewrap.id, progress(rewrap)))?;
    if wait && rewrap.state != "completed" {
        return Err(format!("the rewrap is {}: {}", rewrap.state, rewrap.reason).into());
    }
    Ok(())
}

fn progress(rewrap: &api::Rewrap) -> String {
    let remaining = rewrap.remaining.unwrap_or_default();
    let done = rewrap.total.saturating_sub(remaining);
    let eta = rewrap.eta_seconds.map(|seconds| format!(", {seconds} s to go")).unwrap_or_default();
    let verifying = if rewrap.state == "running" && remaining == 0 && rewrap.verify { ", verifying" } else { "" };
    format!("{}: {done} of {} records{eta}{verifying}", rewrap.state, rewrap.total)
}
