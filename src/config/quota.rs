//! `[[quota]]`: how many restores users and tenants may ask for. In the file and not in the database, where somebody might
//! raise them unseen.

use super::{Config, ConfigError};
use crate::quota::{self, Quotas};
use serde::Deserialize;
use std::collections::BTreeSet;

/// What holds for all tenants, or otherwise for one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// For this tenant; for all that have none of their own where it is missing.
    pub tenant: Option<String>,
    /// Restores of one user that are not over: 5.
    pub open_restores: Option<u32>,
    /// Restores that one user may ask for in a day: 20.
    pub restores_per_day: Option<u32>,
    /// How often one user may fail in a day before they are locked: 10.
    pub failures_per_day: Option<u32>,
    /// Restores that all users together may ask for in an hour before they are frozen: 200.
    pub tenant_restores_per_hour: Option<u32>,
}

impl Quota {
    fn over(&self, usual: quota::Quota) -> quota::Quota {
        quota::Quota {
            open_restores: self.open_restores.unwrap_or(usual.open_restores),
            restores_per_day: self.restores_per_day.unwrap_or(usual.restores_per_day),
            failures_per_day: self.failures_per_day.unwrap_or(usual.failures_per_day),
            tenant_restores_per_hour: self.tenant_restores_per_hour.unwrap_or(usual.tenant_restores_per_hour),
        }
    }
}

impl Config {
    /// What each tenant and its users may ask for.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        let for_all = self.quota.iter().find(|quota| quota.tenant.is_none());
        let usual = for_all.map_or_else(quota::Quota::default, |quota| quota.over(quota::Quota::default()));
        let own = |quota: &Quota| Some((quota.tenant.clone()?, quota.over(usual)));
        Quotas { usual, tenants: self.quota.iter().filter_map(own).collect() }
    }

    pub(super) fn check_quotas(&self) -> Result<(), ConfigError> {
        let tenants: BTreeSet<_> = self.quota.iter().map(|quota| &quota.tenant).collect();
        if tenants.len() < self.quota.len() {
            return Err(ConfigError::Invalid("two `[[quota]]` are for the same"));
        }
        Ok(())
    }
}
