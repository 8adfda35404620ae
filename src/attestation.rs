//! Which makes of authenticators the people of each tenant may use, and whoever decides there.

use crate::roster::Admin;
use identity::passkey::{AttestationRoots, Passkey};
use std::collections::HashMap;

/// The roots that a tenant demands, where it demands any.
#[derive(Debug, Default)]
pub struct Attestation(HashMap<String, AttestationRoots>);

impl Attestation {
    /// Each tenant with its roots.
    #[must_use]
    pub fn new(roots: HashMap<String, AttestationRoots>) -> Self {
        Self(roots)
    }

    /// What a new passkey of the tenant's people must be under; `None`: any is taken.
    #[must_use]
    pub fn roots(&self, tenant: &str) -> Option<&AttestationRoots> {
        self.0.get(tenant)
    }

    /// The person's passkeys that count in that tenant: where it demands a make, those whose make was proven. Who administers
    /// all tenants is held to it too.
    #[must_use]
    pub fn accepted(&self, admin: &Admin, tenant: &str) -> Vec<Passkey> {
        let demands = self.0.contains_key(tenant);
        admin.passkeys.iter().filter(|passkey| !demands || passkey.is_attested()).cloned().collect()
    }
}
