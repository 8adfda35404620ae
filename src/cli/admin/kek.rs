//! `keyfold admin kek`: a KEK's life.

use super::client::Client;
use super::destruction::Destruction;
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
    /// Show a KEK, how it is, and how many records lie under it.
    Show {
        /// The tenant.
        tenant: String,
        /// The KEK.
        id: Uuid,
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
    #[command(flatten)]
    Destruction(Destruction),
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
    pub(super) async fn post<T: DeserializeOwned>(self, client: &Client, step: &str) -> Result<T, Failure> {
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
                    vec![
                        kek.id.to_string(),
                        kek.provider.clone(),
                        kek.key.clone(),
                        kek.state.clone(),
                        health(kek),
                        created,
                    ]
                };
                client
                    .list(&format!("{tenant}/keks"), &["KEK", "PROVIDER", "KEY", "STATE", "HEALTH", "REGISTERED"], row)
                    .await
            }
            Self::Show { tenant, id } => {
                let details: api::KekDetails = client.get(&format!("{tenant}/keks/{id}"), &()).await?;
                client.show(&details, described)
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
            Self::Destruction(destruction) => destruction.run(client).await,
        }
    }
}

fn described(details: &api::KekDetails) -> String {
    let api::KekDetails { kek, holdings, stale } = details;
    let line = |held: &api::KekHoldings| format!("\n{} version {}: {} records", held.slot, held.version, held.records);
    let api::Kek { id, provider, key, version, state, .. } = kek;
    format!(
        "{id} {provider} {key}: {state}, {}, version {version}, {stale} records under an older one{}",
        health(kek),
        holdings.iter().map(line).collect::<String>()
    )
}

fn health(kek: &api::Kek) -> String {
    kek.health.as_ref().map_or_else(
        || "untested".into(),
        |health| {
            let reason = health.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{}{reason} since {}", health.state, output::time(health.since))
        },
    )
}

fn tried(probe: &api::Probe) -> String {
    let line = |step: &api::ProbeStep| format!("{}: {} ({})", step.call, step.outcome, step.permission);
    probe.steps.iter().map(line).collect::<Vec<_>>().join("\n")
}
