//! `[policies]`: what decides whether.

use super::{Config, ConfigError};
use ::policies::PolicySet;
use serde::Deserialize;
use std::path::PathBuf;

/// What holds where nothing else is set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// A file of Cedar policies in place of the defaults; those that always hold are part of every set.
    default: Option<PathBuf>,
}

impl Config {
    /// The policies that hold where a tenant has set none.
    pub fn default_policies(&self) -> Result<PolicySet, ConfigError> {
        let Some(path) = &self.policies.default else { return Ok(PolicySet::default_set()) };
        let text = String::from_utf8(self.bytes(path)?).map_err(|_| ConfigError::Invalid("policies are UTF-8"))?;
        PolicySet::parse(&text).map_err(|source| ConfigError::Policies { path: self.path(path), source })
    }
}
