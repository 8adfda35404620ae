//! `keyfold admin policy`: what a tenant's policies are, and what others would mean. To put them in force takes two people with
//! passkeys, in the console.

use super::client::Client;
use crate::api;
use crate::cli::{Failure, output};
use clap::Subcommand;
use std::path::{Path, PathBuf};

const HEADINGS: &[&str] = &["VERSION", "STATE", "EFFECTIVE", "WRITTEN BY", "PROPOSED BY", "ACTIVATED BY", "NOTE"];
const TRIED: &[&str] = &["RESTORE", "ASKED", "USER", "STATE", "WOULD BE", "BY"];

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// List the versions of a tenant's policies.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Print the text of a version, or of what is in force.
    Show {
        /// The tenant.
        tenant: String,
        /// The version; without it, the policies in force.
        #[arg(value_name = "VERSION")]
        number: Option<u64>,
    },
    /// Look for mistakes in a file, and say whether it would take effect at once.
    Validate {
        /// The tenant.
        tenant: String,
        /// The file, in Cedar.
        file: PathBuf,
    },
    /// Tell what a file would have meant for the restores of the last days.
    DryRun {
        /// The tenant.
        tenant: String,
        /// The file, in Cedar.
        file: PathBuf,
        /// So many, 1 to 90.
        #[arg(long, default_value_t = 30)]
        days: u16,
    },
}

impl Policy {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::List { tenant } => client.list(&format!("{tenant}/policies"), HEADINGS, row).await,
            Self::Show { tenant, number: None } => {
                let found: api::PolicyInForce = client.get(&format!("{tenant}/policies/in-force"), &()).await?;
                client.show(&found, |found| found.text.trim_end().to_owned())
            }
            Self::Show { tenant, number: Some(version) } => {
                let found: api::PolicyVersion = client.get(&format!("{tenant}/policies/{version}"), &()).await?;
                client.show(&found, |found| found.text.as_deref().unwrap_or_default().trim_end().to_owned())
            }
            Self::Validate { tenant, file } => validate(client, &tenant, &file).await,
            Self::DryRun { tenant, file, days } => dry_run(client, &tenant, (&file, days)).await,
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()).into())
}

/// A mistake ends it with an error, so that pipelines stop.
async fn validate(client: &Client, tenant: &str, file: &Path) -> Result<(), Failure> {
    let ask = api::ValidatePolicy { text: read(file)? };
    let found: api::PolicyValidated = client.post(&format!("{tenant}/policies/validate"), &ask).await?;
    if let Some(api::PolicyMistake { line, column, message, .. }) = &found.mistake {
        return Err(format!("{}:{line}:{column}: {message}", file.display()).into());
    }
    client.show(&found, |found| match found.nowhere_weaker {
        true => "no mistake; nowhere weaker than what is in force: it would take effect at once".into(),
        false => "no mistake; it may be weaker than what is in force: it would wait".into(),
    })
}

async fn dry_run(client: &Client, tenant: &str, (file, days): (&Path, u16)) -> Result<(), Failure> {
    let ask = api::TryPolicy { text: Some(read(file)?), version: None, days };
    let tried: api::PolicyTried = client.post(&format!("{tenant}/policies/dry-run"), &ask).await?;
    client.table(&tried, TRIED, tried.changed.iter().map(changed).collect())?;
    let api::PolicyTried { looked_at, complete, refused, needs_more, needs_less, allowed, .. } = tried;
    eprintln!(
        "{looked_at} restores{}: {refused} refused, {needs_more} would need more, {needs_less} less, {allowed} allowed anew",
        if complete { "" } else { " (more were not looked at)" }
    );
    Ok(())
}

fn row(version: &api::PolicyVersion) -> Vec<String> {
    vec![
        version.version.to_string(),
        version.state.clone(),
        version.effective_at.map(output::time).unwrap_or_default(),
        version.made_by.clone(),
        version.proposed_by.clone().unwrap_or_default(),
        version.activated_by.clone().unwrap_or_default(),
        version.note.clone(),
    ]
}

fn changed(restore: &api::RestoreTried) -> Vec<String> {
    let api::PolicyDecision { allowed, policies, approvals, own_device, delay_seconds } = &restore.then;
    let needs = [
        (*approvals > 0).then(|| format!("{approvals} approvals")),
        own_device.then(|| "own device".to_owned()),
        (*delay_seconds > 0).then(|| format!("{delay_seconds} s")),
    ];
    let needs: Vec<_> = needs.into_iter().flatten().collect();
    let would_be = match (allowed, needs.is_empty()) {
        (false, _) => "refused".into(),
        (true, true) => "released".into(),
        (true, false) => needs.join(", "),
    };
    let (id, asked) = (restore.restore.to_string(), output::time(restore.asked_at));
    vec![id, asked, restore.user.clone(), restore.state.clone(), would_be, policies.join(" ")]
}
