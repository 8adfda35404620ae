//! What no tenant, or not every tenant, may register: the broker's own root key, and one customer's provider.

use crate::error::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// The keys and providers that are kept for somebody, as the configuration says.
#[derive(Debug)]
pub struct Reserved {
    /// Provider and key that seal the broker's own keys.
    pub root: (String, String),
    /// For each provider that is not everybody's, the only tenants that may use it.
    pub tenants: BTreeMap<String, BTreeSet<String>>,
}

impl Reserved {
    /// Refuses a key that is not for this tenant's KEKs.
    pub fn check(&self, tenant: &str, (provider, key): (&str, &str)) -> Result<(), Refusal> {
        if (provider, key) == (self.root.0.as_str(), self.root.1.as_str()) {
            return Err(Refusal::KekReserved);
        }
        match self.tenants.get(provider) {
            Some(tenants) if !tenants.contains(tenant) => Err(Refusal::ProviderReserved),
            Some(_) | None => Ok(()),
        }
    }
}
