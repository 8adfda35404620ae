//! `[providers.<name>]` of type `azure_key_vault`.

use super::SecretSource;
use super::provider::Calls;
use serde::Deserialize;
use std::path::PathBuf;

/// A vault or Managed HSM, and who uses it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureKeyVault {
    /// `https://<vault>.vault.azure.net`, or what it is in another cloud.
    pub vault_url: String,
    /// What answers there.
    #[serde(default)]
    pub kind: Kind,
    /// What new secrets are wrapped with.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Who the broker is.
    pub identity: Identity,
    /// Where Entra ID is, in other clouds than the public one.
    pub authority_host: Option<String>,
    /// The only certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
    /// How it may be called.
    #[serde(default)]
    pub calls: Calls,
}

/// The two services.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A key vault.
    #[default]
    Vault,
    /// A Managed HSM.
    ManagedHsm,
}

/// By the service's names.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub enum Algorithm {
    /// For an RSA key.
    #[default]
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    /// For an AES key of a Managed HSM.
    A256KW,
    /// Likewise, and the service binds the context.
    A256GCM,
}

/// Who the broker is to Entra ID.
#[derive(Debug, Deserialize)]
#[serde(tag = "method", deny_unknown_fields)]
pub enum Identity {
    /// The machine's own.
    #[serde(rename = "managed_identity")]
    Managed {
        /// Which one, where several are assigned.
        client_id: Option<String>,
    },
    /// A Kubernetes service account. What is absent comes from the environment that AKS sets.
    #[serde(rename = "workload_identity")]
    Workload {
        /// The directory.
        tenant_id: Option<String>,
        /// The application.
        client_id: Option<String>,
        /// The service account's token.
        token_file: Option<PathBuf>,
    },
    /// An application with a certificate.
    #[serde(rename = "client_certificate")]
    Certificate {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// The certificate, PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: SecretSource,
    },
}
