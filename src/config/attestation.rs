//! `[[attestation]]`: tenants that demand certain makes of authenticators.

use super::{Config, ConfigError};
use identity::passkey::AttestationRoots;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;

/// What one tenant demands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The tenant, or `installation`.
    tenant: String,
    /// The certificates of the makes, PEM.
    roots: PathBuf,
}

impl Config {
    /// Each tenant with what its people's authenticators must be under.
    pub fn attestation_roots(&self) -> Result<HashMap<String, AttestationRoots>, ConfigError> {
        self.attestation.iter().map(|demand| Ok((demand.tenant.clone(), self.roots(demand)?))).collect()
    }

    fn roots(&self, demand: &Attestation) -> Result<AttestationRoots, ConfigError> {
        let pem = String::from_utf8(self.bytes(&demand.roots)?);
        let roots = pem.ok().and_then(|pem| AttestationRoots::from_pem(&pem).ok());
        roots.ok_or(ConfigError::Invalid("`attestation.roots` must hold certificates in PEM"))
    }
}
