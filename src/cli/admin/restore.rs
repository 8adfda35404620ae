//! `keyfold admin restore`: which restores there are, why one waits, and what keeps them back. To decide takes a passkey, so
//! that is the console's.

use super::client::Client;
use crate::api;
use crate::cli::{Failure, output};
use clap::{Args, Subcommand};
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum Restore {
    /// List a tenant's restores.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Show what a restore is about, what it waits for, and who has decided what.
    ///
    /// Approving and rejecting take a passkey: the last line is the console's page where that is done.
    Show {
        /// The tenant.
        tenant: String,
        /// The restore.
        id: Uuid,
    },
    /// List who is locked, and whether the tenant's restores are frozen.
    Locks {
        /// The tenant.
        tenant: String,
    },
    /// Lock a user's restores, or freeze all of the tenant's: nothing is released, and nothing is lost.
    Lock(Whose),
    /// Let restores go on, with their quota whole again.
    Unlock(Whose),
}

#[derive(Debug, Args)]
pub(super) struct Whose {
    /// The tenant.
    tenant: String,
    /// Whose; without it, all of the tenant's.
    #[arg(long)]
    user: Option<String>,
    /// Goes into the log.
    #[arg(long)]
    reason: String,
}

const LOCKS: &[&str] = &["USER", "BY", "SINCE"];

const RESTORES: &[&str] = &["RESTORE", "USER", "DEVICE", "RECORDS", "STATE", "CHANGED", "REASON"];

impl Restore {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::List { tenant } => client.list(&format!("{tenant}/restores"), RESTORES, row).await,
            Self::Show { tenant, id } => {
                let shown: api::Approvals = client.get(&format!("{tenant}/restores/{id}/approvals"), &()).await?;
                client.show(&shown, text)
            }
            Self::Locks { tenant } => client.list(&format!("{tenant}/locks"), LOCKS, lock_row).await,
            Self::Lock(Whose { tenant, user, reason }) => {
                let ask = api::AskLock { user, reason };
                let lock: api::Lock = client.post(&format!("{tenant}/locks"), &ask).await?;
                client.show(&lock, |lock| format!("{}: nothing is released", whose(lock.user.as_deref())))
            }
            Self::Unlock(Whose { tenant, user, reason }) => {
                let whose = whose(user.as_deref());
                let ask = api::AskLock { user, reason };
                let thawed: api::Thawed = client.post(&format!("{tenant}/locks/unlock"), &ask).await?;
                client.show(&thawed, |thawed| format!("{whose}: restores go on, from index {}", thawed.index))
            }
        }
    }
}

fn row(restore: &api::Restore) -> Vec<String> {
    let api::Restore { id, user, device, records, reason, state, changed_at, .. } = restore.clone();
    let changed = output::time(changed_at);
    vec![id.to_string(), user, device.to_string(), records.len().to_string(), state, changed, reason]
}

fn text(shown: &api::Approvals) -> String {
    let api::Approvals { restore, device_name, platform, kinds, page, .. } = shown;
    let hardware = if shown.attested { "key in hardware" } else { "not attested" };
    let facts = [
        format!("{} for {}: {}", restore.state, restore.user, kinds.join(", ")),
        format!(
            "asked at {} by {device_name:?} on {platform:?} ({}, {hardware})",
            output::time(shown.asked_at),
            restore.device
        ),
        format!("reason: {:?}", restore.reason),
    ];
    let refused = (!shown.allowed).then(|| "the policies in force refuse it".to_owned());
    let demands = shown.demands.iter().map(demand);
    let decisions = shown.decisions.iter().map(decision);
    let page = format!("decide in the console, with a passkey: {page}");
    facts.into_iter().chain(refused).chain(demands).chain(decisions).chain([page]).collect::<Vec<_>>().join("\n")
}

fn demand(demand: &api::Demand) -> String {
    let api::Demand { demand: name, needed, missing, met_at, policies, .. } = demand;
    let policies = policies.iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>().join(" ");
    let until = met_at.map(|at| format!(", until {}", output::time(at))).unwrap_or_default();
    let counts = if demand.own_device_counts { ", another device of the user counts as one" } else { "" };
    format!("needs {name}: {needed}, missing {missing}{until}{counts} (policy {policies})")
}

fn decision(decided: &api::Decided) -> String {
    let api::Decided { name, decision, given_at, counts, .. } = decided;
    let worth = if *counts { "counts" } else { "does not count" };
    format!("{decision} by {name} at {}: {worth}", output::time(*given_at))
}

fn lock_row(lock: &api::Lock) -> Vec<String> {
    let by = if lock.by_admin { "an administrator" } else { "a quota" };
    vec![whose(lock.user.as_deref()), by.into(), output::time(lock.locked_at)]
}

fn whose(user: Option<&str>) -> String {
    user.map_or_else(|| "(everybody)".into(), str::to_owned)
}
