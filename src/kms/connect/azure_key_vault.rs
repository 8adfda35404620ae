//! The options of Azure Key Vault and Managed HSM.

use crate::config::azure_key_vault::{Algorithm, AzureKeyVault, Identity, Kind};
use crate::config::{Config, ConfigError};
use providers::azure_key_vault::{self as room, Credential, Options};

/// What the room is connected with.
pub(super) fn options(config: &Config, vault: &AzureKeyVault) -> Result<Options, ConfigError> {
    Ok(Options {
        vault_url: vault.vault_url.clone(),
        kind: match vault.kind {
            Kind::Vault => room::Kind::Vault,
            Kind::ManagedHsm => room::Kind::ManagedHsm,
        },
        algorithm: match vault.algorithm {
            Algorithm::RsaOaep256 => room::Algorithm::RsaOaep256,
            Algorithm::A256KW => room::Algorithm::A256Kw,
            Algorithm::A256GCM => room::Algorithm::A256Gcm,
        },
        credential: credential(config, &vault.identity)?,
        authority_host: vault.authority_host.clone(),
        ca_pem: vault.ca.as_deref().map(|ca| config.bytes(ca)).transpose()?,
    })
}

fn credential(config: &Config, identity: &Identity) -> Result<Credential, ConfigError> {
    Ok(match identity {
        Identity::Managed { client_id } => Credential::ManagedIdentity { client_id: client_id.clone() },
        Identity::Workload { tenant_id, client_id, token_file } => Credential::WorkloadIdentity {
            tenant_id: tenant_id.clone(),
            client_id: client_id.clone(),
            token_file: token_file.as_deref().map(|file| config.path(file)),
        },
        Identity::Certificate { tenant_id, client_id, certificate, key } => Credential::ClientCertificate {
            tenant_id: tenant_id.clone(),
            client_id: client_id.clone(),
            certificate: config.bytes(certificate)?,
            key: config.secret(key)?,
        },
    })
}
