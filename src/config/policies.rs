//! `[policies]`: what decides whether, and when a change of it takes effect.

use super::{Config, ConfigError};
use ::policies::PolicySet;
use serde::Deserialize;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// What holds where a tenant has set nothing, and how tenants change what they have set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// A file of Cedar policies in place of the defaults; those that always hold are part of every set.
    default: Option<PathBuf>,
    /// How long those wait that may be weaker than what is in force.
    weakening_delay_hours: NonZeroU32,
}

impl Default for Policies {
    fn default() -> Self {
        let weakening_delay_hours = NonZeroU32::new(24).expect("invariant: 24 is not 0");
        Self { default: None, weakening_delay_hours }
    }
}

impl Policies {
    /// How long policies that may be weaker wait.
    #[must_use]
    pub fn weakening_delay(&self) -> Duration {
        Duration::from_secs(u64::from(self.weakening_delay_hours.get()) * 3_600)
    }
}

impl Config {
    /// The policies that hold where a tenant has set none.
    pub fn default_policies(&self) -> Result<PolicySet, ConfigError> {
        let Some(path) = &self.policies.default else { return Ok(PolicySet::default_set()) };
        let text = String::from_utf8(self.bytes(path)?).map_err(|_| ConfigError::Invalid("policies are UTF-8"))?;
        PolicySet::parse(&text).map_err(|source| ConfigError::Policies { path: self.path(path), source })
    }
}
