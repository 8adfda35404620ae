//! `[[sso]]`: where administrators may sign on, besides by passkey.

use super::{Config, ConfigError, SecretSource};
use identity::oidc::{self, Algorithm};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// The page that issuers send browsers back to.
const RETURN: &str = "/console/sso";

/// An issuer of OpenID Connect, for the administrators of one tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Whose administrators: a tenant, or `installation`.
    #[serde(default = "default_tenant")]
    pub tenant: String,
    /// Its URL, letter for letter as it writes it.
    pub issuer: String,
    /// As it knows the broker.
    pub client_id: String,
    /// A public client has none.
    pub client_secret: Option<SecretSource>,
    /// By which its tokens may be signed.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The only certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// Each issuer, by the tenant that it is for.
    pub fn issuers(&self) -> Result<Vec<(String, Arc<oidc::Config>)>, ConfigError> {
        self.sso.iter().map(|issuer| Ok((issuer.tenant.clone(), Arc::new(self.issuer(issuer)?)))).collect()
    }

    fn issuer(&self, issuer: &Issuer) -> Result<oidc::Config, ConfigError> {
        let redirect_uri = Url::parse(&format!("{}{RETURN}", self.public_url));
        Ok(oidc::Config {
            issuer: issuer.issuer.clone(),
            client_id: issuer.client_id.clone(),
            client_secret: issuer.client_secret.as_ref().map(|source| self.secret(source)).transpose()?,
            redirect_uri: redirect_uri.map_err(|_| ConfigError::Invalid("`public_url` is no URL"))?,
            algorithms: issuer.algorithms.clone(),
            ca_pem: issuer.ca.as_ref().map(|path| self.bytes(path)).transpose()?,
        })
    }

    pub(super) fn check_issuers(&self) -> Result<(), ConfigError> {
        let tenants: BTreeSet<_> = self.sso.iter().map(|issuer| &issuer.tenant).collect();
        if tenants.len() < self.sso.len() {
            return Err(ConfigError::Invalid("two `[[sso]]` are for one tenant"));
        }
        if self.sso.iter().any(|issuer| !issuer.issuer.starts_with("https://") || issuer.algorithms.is_empty()) {
            return Err(ConfigError::Invalid("`sso.issuer` must be an https URL, and `sso.algorithms` not empty"));
        }
        Ok(())
    }
}

fn default_tenant() -> String {
    "installation".into()
}

fn default_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]
}
