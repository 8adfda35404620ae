//! Where administrators sign on, and who is doing so.

use crate::clock::Timestamp;
use crate::issuers::Issuers;
use crate::pending::Pending;
use identity::oidc::{Client, Config, Issuer, LoginState, OidcError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

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

/// All that is known of signing on.
#[derive(Debug, Default)]
pub struct Sso {
    issuers: Issuers,
    clients: HashMap<String, Client>,
    /// Who is at an issuer right now.
    pub begun: Pending<SigningOn>,
    spent: Mutex<HashMap<String, Timestamp>>,
}

impl Sso {
    /// Each issuer with the tenant that it is for, and what the broker is to it.
    #[must_use]
    pub fn new(sign_ons: Vec<(String, Arc<Config>, Client)>) -> Self {
        let (mut issuers, mut clients) = (Vec::new(), HashMap::new());
        for (tenant, config, client) in sign_ons {
            issuers.push((tenant.clone(), config));
            clients.insert(tenant, client);
        }
        Self { issuers: Issuers::new(issuers), clients, ..Self::default() }
    }

    /// The tenant's issuer, and what the broker is to it; `None` where it has none.
    pub async fn issuer(&self, tenant: &str, now: Timestamp) -> Option<Result<(&Issuer, &Client), OidcError>> {
        let (issuer, client) = (self.issuers.of(tenant, now).await?, self.clients.get(tenant)?);
        Some(issuer.map(|issuer| (issuer, client)))
    }

    /// The issuer's name.
    #[must_use]
    pub fn name(&self, tenant: &str) -> Option<&str> {
        self.issuers.name(tenant)
    }

    /// Whether a logout token of this number comes for the first time.
    #[must_use]
    pub fn is_new(&self, issuer: &str, jti: &str, now: Timestamp) -> bool {
        let mut spent = self.spent.lock().expect("invariant: nothing panics while holding this lock");
        spent.retain(|_, until| now < *until);
        spent.insert(format!("{issuer} {jti}"), now + REMEMBERED).is_none()
    }
}
