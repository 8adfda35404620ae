//! `keyfold admin kek import-parameters` and `import`: before and after `keyfold ceremony`.

use super::client::Client;
use crate::api;
use crate::cli::{Failure, file, output};
use clap::Args;
use protocol::ceremony::{KeyName, Material, Parameters, ProviderName};
use protocol::encoding::from_json;
use std::fs;
use std::path::PathBuf;

/// Get what `keyfold ceremony` needs to wrap your own key for a provider.
///
/// Prints the fingerprint of the provider's wrapping key: SHA-256 of its DER SubjectPublicKeyInfo. Take it to the ceremony
/// apart from the file, after comparing it with what the vendor's own tool says where there is one.
#[derive(Debug, Args)]
pub(super) struct ImportParameters {
    /// The tenant.
    tenant: String,
    /// A provider of the configuration file.
    #[arg(long)]
    provider: ProviderName,
    /// What the provider calls the key, or is to call it.
    #[arg(long)]
    key: KeyName,
    /// The file to make.
    #[arg(long)]
    out: PathBuf,
}

/// Bring the key that `keyfold ceremony` wrapped to its provider; register it afterwards.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The tenant.
    tenant: String,
    /// The file that `keyfold ceremony` made.
    #[arg(long)]
    material: PathBuf,
}

impl ImportParameters {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let ask = api::AskImportParameters { provider: self.provider, key: self.key };
        let given: Parameters = client.post(&format!("{}/keks/import-parameters", self.tenant), &ask).await?;
        file::make_shared(&self.out, &serde_json::to_vec_pretty(&given)?)?;
        output::line(&given.fingerprint().to_string())
    }
}

impl Import {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let made: Material = from_json(&fs::read(&self.material)?)?;
        if made.tenant.as_str() != self.tenant {
            return Err(format!("the material is for tenant {}; nothing was imported", made.tenant).into());
        }
        let check_value = made.check_value;
        let Material { provider, key, material, token, .. } = made;
        let ask = api::ImportKek { provider, key, material, token };
        let next: api::RegisterKek = client.post(&format!("{}/keks/import", self.tenant), &ask).await?;
        client.show(&next, |next| {
            format!("imported, check value {check_value}; now register provider {}, key {}", next.provider, next.key)
        })
    }
}
