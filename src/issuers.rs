//! Issuers of OpenID Connect: one for each tenant at most. An issuer is asked to describe itself when it is first needed, so
//! that the broker starts without it.

use crate::clock::Timestamp;
use identity::oidc::{Config, Issuer, OidcError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::OnceCell;

/// An issuer that gave no usable description is not asked again for so long, in milliseconds: nobody waits for it in a queue.
const PAUSE: Timestamp = 10 * 1_000;

/// The issuers, by tenant.
#[derive(Debug, Default)]
pub struct Issuers(HashMap<String, Known>);

#[derive(Debug)]
struct Known {
    config: Arc<Config>,
    issuer: OnceCell<Issuer>,
    failed_at: AtomicI64,
}

impl Issuers {
    /// Each with the tenant that it is for.
    #[must_use]
    pub fn new(issuers: Vec<(String, Arc<Config>)>) -> Self {
        let known = |config| Known { config, issuer: OnceCell::new(), failed_at: AtomicI64::new(i64::MIN / 2) };
        Self(issuers.into_iter().map(|(tenant, config)| (tenant, known(config))).collect())
    }

    /// The tenant's issuer; `None` where it has none.
    pub async fn of(&self, tenant: &str, now: Timestamp) -> Option<Result<&Issuer, OidcError>> {
        let known = self.0.get(tenant)?;
        Some(known.issuer.get_or_try_init(|| known.ask(now)).await)
    }

    /// The name of the tenant's issuer.
    #[must_use]
    pub fn name(&self, tenant: &str) -> Option<&str> {
        self.0.get(tenant).map(|known| &*known.config.issuer)
    }
}

impl Known {
    async fn ask(&self, now: Timestamp) -> Result<Issuer, OidcError> {
        if now - self.failed_at.load(Ordering::Relaxed) < PAUSE {
            return Err(OidcError::Silent);
        }
        let described = Issuer::discover(self.config.clone(), now).await;
        if described.is_err() {
            self.failed_at.store(now, Ordering::Relaxed);
        }
        described
    }
}
