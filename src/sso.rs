//! Where administrators sign on: one issuer for each tenant at most. An issuer is asked to describe itself when somebody first
//! wants to sign on, so that the broker starts without it.

use crate::clock::Timestamp;
use crate::pending::Pending;
use identity::oidc::{Config, Issuer, LoginState, OidcError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;

/// How long the number of a logout token is remembered, in milliseconds: no token is taken that is older.
const REMEMBERED: i64 = 3_600 * 1_000;

/// A login that somebody's browser has begun.
#[derive(Debug)]
pub struct SigningOn {
    /// Whose administrator.
    pub tenant: String,
    /// What the issuer's answer is held against.
    pub login: LoginState,
}

/// All issuers.
#[derive(Debug, Default)]
pub struct Sso {
    issuers: HashMap<String, Known>,
    /// Who is at an issuer right now.
    pub begun: Pending<SigningOn>,
    spent: Mutex<HashMap<String, Timestamp>>,
}

#[derive(Debug)]
struct Known {
    config: Arc<Config>,
    issuer: OnceCell<Issuer>,
}

impl Sso {
    /// Each issuer with the tenant that it is for.
    #[must_use]
    pub fn new(issuers: Vec<(String, Arc<Config>)>) -> Self {
        let known = |config| Known { config, issuer: OnceCell::new() };
        let issuers = issuers.into_iter().map(|(tenant, config)| (tenant, known(config))).collect();
        Self { issuers, ..Self::default() }
    }

    /// The tenant's issuer; `None` where it has none.
    pub async fn issuer(&self, tenant: &str, now: Timestamp) -> Option<Result<&Issuer, OidcError>> {
        let known = self.issuers.get(tenant)?;
        Some(known.issuer.get_or_try_init(|| Issuer::discover(known.config.clone(), now)).await)
    }

    /// The issuer's name.
    #[must_use]
    pub fn name(&self, tenant: &str) -> Option<&str> {
        self.issuers.get(tenant).map(|known| &*known.config.issuer)
    }

    /// Whether a logout token of this number comes for the first time.
    #[must_use]
    pub fn is_new(&self, issuer: &str, jti: &str, now: Timestamp) -> bool {
        let mut spent = self.spent.lock().expect("invariant: nothing panics while holding this lock");
        spent.retain(|_, until| now < *until);
        spent.insert(format!("{issuer} {jti}"), now + REMEMBERED).is_none()
    }
}
