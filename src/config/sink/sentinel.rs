//! `[[sinks]]` of type `sentinel`.

use super::https::Connection;
use crate::config::SecretSource;
use serde::Deserialize;
use std::path::PathBuf;

/// A data collection rule of Azure Monitor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentinel {
    /// The logs ingestion endpoint.
    pub endpoint: String,
    /// The rule's immutable id.
    pub rule: String,
    /// The stream that the rule declares.
    pub stream: String,
    /// Who the broker is.
    pub identity: Identity,
    /// What tokens are for, in other clouds than the public one.
    pub audience: Option<String>,
    /// Where Entra ID is, in other clouds than the public one.
    pub authority_host: Option<String>,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// Who the broker is to Entra ID.
#[derive(Debug, Deserialize)]
#[serde(tag = "method", deny_unknown_fields)]
pub enum Identity {
    /// An application with a client secret.
    #[serde(rename = "client_secret")]
    Secret {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// The secret's value.
        secret: SecretSource,
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
    /// An application that trusts the issuer of a token, such as that of a Kubernetes service account.
    #[serde(rename = "workload_identity")]
    Workload {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// The token; no environment variable, for it is read at each login.
        token: SecretSource,
    },
}
