//! `[[witnesses]]` and `[release]`: who watches the logs, and whether a release waits for them.

use super::{Config, ConfigError};
use crate::quorum::{Quorum, Requirement};
use audit::cosignature::Cosigner;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for witnesses that can be asked for, in milliseconds: a device does not wait longer.
const MAX_DEADLINE_MS: u64 = 20_000;

/// A witness (C2SP tlog-witness).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Its name in metrics, in the journal and in the database.
    pub name: String,
    /// Its submission prefix: `https://host[:port][/path]`.
    pub url: String,
    /// Its verifier key.
    pub vkey: String,
    /// The only certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
    /// The only tenants whose logs it watches; without it, all.
    pub tenants: Option<BTreeSet<String>>,
}

impl Witness {
    /// Its verifier key, read.
    pub fn cosigner(&self) -> Result<Cosigner, ConfigError> {
        Cosigner::parse(&self.vkey)
            .map_err(|_| ConfigError::Invalid("`witnesses.vkey` must be a verifier key of type 0x04 (cosignature)"))
    }

    /// Whether it watches the tenant's log.
    #[must_use]
    pub fn watches(&self, tenant: &str) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.contains(tenant))
    }
}

/// What must be so before a key is unwrapped.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Release {
    /// What the intent must be.
    pub requires: Requirement,
    /// Where it differs, by tenant.
    pub tenants: BTreeMap<String, Requirement>,
    /// How many witnesses must have cosigned it, where it must be witnessed.
    pub quorum: usize,
    /// How long a release waits for them.
    pub deadline_ms: u64,
}

impl Default for Release {
    fn default() -> Self {
        Self { requires: Requirement::Durable, tenants: BTreeMap::new(), quorum: 1, deadline_ms: 5_000 }
    }
}

impl Release {
    /// The quorum that releases wait for.
    #[must_use]
    pub fn quorum(&self) -> Quorum {
        let deadline = Duration::from_millis(self.deadline_ms);
        Quorum::new(self.requires, self.tenants.clone(), self.quorum, deadline)
    }
}

impl Config {
    pub(super) fn check_witnesses(&self) -> Result<(), ConfigError> {
        let names: BTreeSet<_> = self.witnesses.iter().map(|witness| &witness.name).collect();
        let keys: BTreeSet<_> = self.witnesses.iter().map(|witness| &witness.vkey).collect();
        if names.len().min(keys.len()) < self.witnesses.len() {
            return Err(ConfigError::Invalid("two `[[witnesses]]` have one name or one key"));
        }
        self.witnesses.iter().try_for_each(|witness| witness.cosigner().map(|_| ()))?;
        let release = &self.release;
        if release.quorum == 0 || !(1..=MAX_DEADLINE_MS).contains(&release.deadline_ms) {
            return Err(ConfigError::Invalid("`release.quorum` is at least 1, `release.deadline_ms` 1 to 20000"));
        }
        let enough = |watches: &dyn Fn(&Witness) -> bool| {
            self.witnesses.iter().filter(|witness| watches(witness)).count() >= release.quorum
        };
        let named = release.tenants.iter().filter(|(_, requirement)| **requirement == Requirement::Witnessed);
        let everywhere = release.requires == Requirement::Durable || enough(&|witness| witness.tenants.is_none());
        if everywhere && named.into_iter().all(|(tenant, _)| enough(&|witness| witness.watches(tenant))) {
            Ok(())
        } else {
            Err(ConfigError::Invalid("`[release]` wants more witnesses than watch the tenants that it is for"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Release, Requirement};

    #[test]
    fn releases_wait_for_nobody_unless_told_to() {
        let parse = |text: &str| toml::from_str::<Release>(text);
        let release = parse("").unwrap();
        assert_eq!((release.requires, release.quorum, release.deadline_ms), (Requirement::Durable, 1, 5_000));
        let release = parse("requires = \"witnessed\"\ntenants = { acme = \"durable\" }\nquorum = 2").unwrap();
        assert_eq!((release.requires, release.tenants["acme"]), (Requirement::Witnessed, Requirement::Durable));
        for wrong in ["requires = \"signed\"", "require = \"durable\"", "tenants = { acme = true }"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
