//! `[[sso]]`: where administrators may sign on, besides by passkey; `[[login]]`: where users log in.

use super::{Config, ConfigError, SecretSource};
use crate::roster::INSTALLATION;
use identity::oidc::{self, Algorithm, Client};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// The page that issuers send browsers back to.
const RETURN: &str = "/console/sso";

/// An issuer of OpenID Connect, for the administrators or the users of one tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Whose administrators (a tenant, or `installation`), or whose users.
    #[serde(default = "default_tenant")]
    pub tenant: String,
    /// Its URL, letter for letter as it writes it.
    pub issuer: String,
    /// As it knows the broker; for users, as it knows the app that they log in with.
    pub client_id: String,
    /// A public client has none; nor has the app of users.
    pub client_secret: Option<SecretSource>,
    /// By which its tokens may be signed.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The only certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// Where administrators sign on, each by the tenant that it is for.
    pub fn sign_ons(&self) -> Result<Vec<(String, Arc<oidc::Config>, Client)>, ConfigError> {
        let sign_on = |issuer: &Issuer| Ok((issuer.tenant.clone(), self.issuer(issuer)?, self.client(issuer)?));
        self.sso.iter().map(sign_on).collect()
    }

    /// Where users log in, each by the tenant that it is for.
    pub fn logins(&self) -> Result<Vec<(String, Arc<oidc::Config>)>, ConfigError> {
        self.login.iter().map(|issuer| Ok((issuer.tenant.clone(), self.issuer(issuer)?))).collect()
    }

    fn issuer(&self, issuer: &Issuer) -> Result<Arc<oidc::Config>, ConfigError> {
        Ok(Arc::new(oidc::Config {
            issuer: issuer.issuer.clone(),
            client_id: issuer.client_id.clone(),
            algorithms: issuer.algorithms.clone(),
            ca_pem: issuer.ca.as_ref().map(|path| self.bytes(path)).transpose()?,
        }))
    }

    fn client(&self, issuer: &Issuer) -> Result<Client, ConfigError> {
        const NO_URL: ConfigError = ConfigError::Invalid("`public_url` is no https URL");
        let secret = issuer.client_secret.as_ref().map(|source| self.secret(source)).transpose()?;
        let redirect_uri = Url::parse(&format!("{}{RETURN}", self.public_url)).map_err(|_| NO_URL)?;
        Client::new(redirect_uri, secret).map_err(|_| NO_URL)
    }

    pub(super) fn check_issuers(&self) -> Result<(), ConfigError> {
        check(&self.sso)?;
        check_logins(&self.login)
    }
}

fn check(issuers: &[Issuer]) -> Result<(), ConfigError> {
    let tenants: BTreeSet<_> = issuers.iter().map(|issuer| &issuer.tenant).collect();
    if tenants.len() < issuers.len() {
        return Err(ConfigError::Invalid("two `[[sso]]`, or two `[[login]]`, are for one tenant"));
    }
    if issuers.iter().any(|issuer| !issuer.issuer.starts_with("https://") || issuer.algorithms.is_empty()) {
        return Err(ConfigError::Invalid("an `issuer` must be an https URL, and its `algorithms` not empty"));
    }
    Ok(())
}

/// The broker verifies what users show, and never asks for a token itself.
fn check_logins(issuers: &[Issuer]) -> Result<(), ConfigError> {
    check(issuers)?;
    if issuers.iter().any(|issuer| issuer.tenant == INSTALLATION || issuer.client_secret.is_some()) {
        return Err(ConfigError::Invalid("`login` needs a `tenant`, and takes no `client_secret`"));
    }
    Ok(())
}

fn default_tenant() -> String {
    INSTALLATION.into()
}

fn default_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]
}

#[cfg(test)]
mod tests {
    use super::{Issuer, check_logins};

    #[test]
    fn users_log_in_at_one_issuer_of_their_tenant() {
        let issuer = |text: &str| {
            let text = format!("issuer = \"https://login.example\"\nclient_id = \"app\"\n{text}");
            toml::from_str::<Issuer>(&text).unwrap()
        };
        let acme = || issuer("tenant = \"acme\"");
        assert!(check_logins(&[acme(), issuer("tenant = \"other\"")]).is_ok());
        for wrong in ["", "tenant = \"acme\"\nclient_secret = { env = \"S\" }", "tenant = \"acme\"\nalgorithms = []"] {
            assert!(check_logins(&[issuer(wrong)]).is_err(), "{wrong}");
        }
        assert!(check_logins(&[acme(), acme()]).is_err());
        assert!(check_logins(&[Issuer { issuer: "http://login.example".into(), ..acme() }]).is_err());
    }
}
