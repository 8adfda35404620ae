//! `keyfold admin kek`: a KEK's life.

use super::client::Client;
use super::import;
use crate::api;
use crate::cli::{Failure, output};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum Kek {
    /// Register a KEK, after trying it; the first of a tenant wraps from now on.
    Register {
        /// The tenant.
        tenant: String,
        /// A provider of the configuration file.
        #[arg(long)]
        provider: String,
        /// What the provider calls the key.
        #[arg(long)]
        key: String,
    },
    /// Get what `keyfold ceremony` needs to wrap your own key for a provider.
    ImportParameters(import::ImportParameters),
    /// Bring the key that `keyfold ceremony` wrapped to its provider; register it afterwards.
    Import(import::Import),
    /// List a tenant's KEKs.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Try all that a KEK would need, and tell which permission is missing; registers nothing.
    Probe {
        /// The tenant.
        tenant: String,
        /// A provider of the configuration file.
        #[arg(long)]
        provider: String,
        /// What the provider calls the key.
        #[arg(long)]
        key: String,
    },
    /// Take a new version into use that was made at the vendor; `rewrap` then brings old records there.
    Rotate {
        /// The tenant.
        tenant: String,
        /// The KEK.
        id: Uuid,
        /// Rotate although the vendor shows no versions.
        #[arg(long)]
        force: bool,
    },
    /// Take a KEK out of use: nothing under it is released until it is enabled again.
    Disable(Because),
    /// Use a disabled KEK again.
    Enable(Because),
    /// Ask that what a KEK wrapped be destroyed; prints what would be lost. Another administrator has to confirm it.
    Destroy(Because),
    /// List a tenant's destructions, those that wait for a confirmation too.
    Destructions {
        /// The tenant.
        tenant: String,
    },
    /// Confirm a destruction that another administrator asked for, within a day. Nothing can undo this.
    Confirm {
        /// The tenant.
        tenant: String,
        /// The destruction.
        id: Uuid,
        /// How many records will be lost, as `destroy` said.
        #[arg(long)]
        records: u64,
    },
    /// Take a destruction back that was not confirmed yet.
    Cancel {
        /// The tenant.
        tenant: String,
        /// The destruction.
        id: Uuid,
    },
}

#[derive(Debug, Args)]
pub(super) struct Because {
    /// The tenant.
    tenant: String,
    /// The KEK.
    id: Uuid,
    /// Why; goes into the log.
    #[arg(long)]
    reason: String,
}

impl Because {
    async fn post<T: DeserializeOwned>(self, client: &Client, step: &str) -> Result<T, Failure> {
        let Self { tenant, id, reason } = self;
        client.post(&format!("{tenant}/keks/{id}/{step}"), &api::Because { reason }).await
    }
}

impl Kek {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::Register { tenant, provider, key } => {
                let made: api::Kek =
                    client.post(&format!("{tenant}/keks"), &api::RegisterKek { provider, key }).await?;
                client.show(&made, |kek| kek.id.to_string())
            }
            Self::ImportParameters(ask) => ask.run(client).await,
            Self::Import(import) => import.run(client).await,
            Self::List { tenant } => {
                let row = |kek: &api::Kek| {
                    let created = output::time(kek.created_at);
                    vec![kek.id.to_string(), kek.provider.clone(), kek.key.clone(), kek.state.clone(), created]
                };
                client.list(&format!("{tenant}/keks"), &["KEK", "PROVIDER", "KEY", "STATE", "REGISTERED"], row).await
            }
            Self::Probe { tenant, provider, key } => {
                let ask = api::RegisterKek { provider, key };
                let probe: api::Probe = client.post(&format!("{tenant}/keks/probe"), &ask).await?;
                client.show(&probe, tried)?;
                if probe.usable { Ok(()) } else { Err("the key cannot be used as it is".into()) }
            }
            Self::Rotate { tenant, id, force } => {
                let kek: api::Kek =
                    client.post(&format!("{tenant}/keks/{id}/rotate"), &api::RotateKek { force }).await?;
                client.show(&kek, |kek| format!("version {}", kek.version))
            }
            Self::Disable(because) => {
                let done: api::Revoked = because.post(client, "disable").await?;
                client.show(&done, |done| {
                    let at = output::time(done.effective_at);
                    format!("disabled, effective {at}; {} open restores ended", done.restores_ended)
                })
            }
            Self::Enable(because) => {
                let kek: api::Kek = because.post(client, "enable").await?;
                client.show(&kek, |kek| kek.state.clone())
            }
            Self::Destroy(because) => {
                let asked: api::Destruction = because.post(client, "destructions").await?;
                client.show(&asked, requested)
            }
            Self::Destructions { tenant } => {
                client.list(&format!("{tenant}/destructions"), DESTRUCTIONS, destruction).await
            }
            Self::Confirm { tenant, id, records } => {
                let ask = api::ConfirmDestruction { records };
                let done: api::Destroyed = client.post(&format!("{tenant}/destructions/{id}/confirm"), &ask).await?;
                client.show(&done, |done| {
                    let api::Destroyed { lost, kept, restores_ended, .. } = done;
                    format!("destroyed: {lost} records lost, {kept} kept, {restores_ended} open restores ended")
                })
            }
            Self::Cancel { tenant, id } => {
                let order: api::Destruction =
                    client.post(&format!("{tenant}/destructions/{id}/cancel"), &serde_json::json!({})).await?;
                client.show(&order, |order| order.state.clone())
            }
        }
    }
}

fn tried(probe: &api::Probe) -> String {
    let line = |step: &api::ProbeStep| format!("{}: {} ({})", step.call, step.outcome, step.permission);
    probe.steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn requested(asked: &api::Destruction) -> String {
    let api::Destruction { id, lost, kept, expires_at, .. } = asked;
    let warning = match asked.wraps_new_records {
        Some(true) => {
            "\nnew records go under this KEK: protect the tenant with others first, or nothing can be wrapped"
        }
        Some(false) | None => "",
    };
    let until = output::time(*expires_at);
    format!(
        "{lost} records will be lost, {kept} stay openable; before {until} another administrator runs:\n\
         keyfold admin kek confirm TENANT {id} --records {lost}{warning}"
    )
}

const DESTRUCTIONS: &[&str] = &["DESTRUCTION", "KEK", "STATE", "LOST", "KEPT", "ASKED BY", "BEFORE", "REASON"];

fn destruction(order: &api::Destruction) -> Vec<String> {
    let api::Destruction { id, kek, reason, requested_by, state, lost, kept, expires_at, .. } = order.clone();
    let (lost, kept) = (lost.to_string(), kept.to_string());
    vec![id.to_string(), kek.to_string(), state, lost, kept, requested_by, output::time(expires_at), reason]
}
