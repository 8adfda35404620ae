//! `keyfold admin kek`: a KEK's life.

use super::client::Client;
use super::import;
use crate::api;
use crate::cli::{Failure, output};
use clap::Subcommand;

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
        }
    }
}
