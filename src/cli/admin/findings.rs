//! `keyfold admin findings`: what looked wrong, and what other thresholds would have made of the past.

use super::client::Client;
use crate::api;
use crate::cli::{Failure, output};
use clap::Args;

const HEADINGS: &[&str] = &["INDEX", "TIME", "RULE", "THRESHOLD", "OBSERVED", "EVENTS", "COR"];

/// List what was raised about a tenant, or with `--dry-run` what would have been.
#[derive(Debug, Args)]
pub(super) struct Findings {
    /// The tenant.
    tenant: String,
    /// Apply the rules to the log as it stands; nothing is written.
    #[arg(long)]
    dry_run: bool,
    /// The first event that may complete a finding.
    #[arg(long, requires = "dry_run")]
    from: Option<u64>,
    /// The first event that is not looked at any more.
    #[arg(long, requires = "dry_run")]
    to: Option<u64>,
    /// This rule alone; without it, what the broker is set to.
    #[arg(long, requires = "dry_run")]
    rule: Option<String>,
    /// Where that rule finds something.
    #[arg(long, requires = "rule")]
    threshold: Option<u64>,
}

impl Findings {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let Self { tenant, dry_run, from, to, rule, threshold } = self;
        if !dry_run {
            return client.list(&format!("{tenant}/findings"), HEADINGS, row).await;
        }
        let query = api::DryRunQuery { from, to, rule, threshold };
        let found: api::DryRun = client.get(&format!("{tenant}/findings/dry-run"), &query).await?;
        client.table(&found, HEADINGS, found.findings.iter().map(row).collect())?;
        if found.complete {
            return Ok(());
        }
        Err(format!("looked no further than event {}: go on with `--from {}`", found.next, found.next).into())
    }
}

fn row(finding: &api::Finding) -> Vec<String> {
    let api::Finding { index, at, rule, cor, seen } = finding.clone();
    let numbers = seen.map(|seen| {
        let events: Vec<_> = seen.events.iter().map(u64::to_string).collect();
        [seen.threshold.to_string(), seen.observed.to_string(), events.join(",")]
    });
    let index = index.map(|index| index.to_string()).unwrap_or_default();
    let cor = cor.map(|cor| cor.to_string()).unwrap_or_default();
    [index, output::time(at), rule].into_iter().chain(numbers.unwrap_or_default()).chain([cor]).collect()
}
