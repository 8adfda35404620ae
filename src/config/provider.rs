//! `[providers.<name>]`: where customers' keys live.

use super::SecretSource;
use super::azure_key_vault::AzureKeyVault;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// A provider, and whom it serves.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// The only tenants whose KEKs may lie there; without it, all.
    pub tenants: Option<BTreeSet<String>>,
    /// The provider; it refuses fields that it does not know.
    #[serde(flatten)]
    pub provider: Provider,
}

/// A place where keys live.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Provider {
    /// Keys in a file under a passphrase. Not an HSM.
    Software {
        /// The keystore, mode 0600.
        keystore: PathBuf,
        /// What opens it.
        passphrase: SecretSource,
        /// How it may be called.
        #[serde(default)]
        calls: Calls,
    },
    /// A PKCS#11 module.
    Pkcs11(Pkcs11),
    /// AWS KMS in one region, under one identity. Credentials come from the default chain of the AWS SDKs.
    AwsKms {
        /// The region that the keys are in.
        region: String,
        /// Another endpoint of KMS: `https://host[:port]`.
        endpoint: Option<String>,
        /// Whether to use the FIPS endpoints of the region.
        #[serde(default)]
        fips: bool,
        /// The only certificate authorities to trust, PEM.
        ca: Option<PathBuf>,
        /// The role to assume.
        role_arn: Option<String>,
        /// The external id that the role's owner asks for.
        external_id: Option<String>,
        /// Another endpoint of STS, which hands out the role.
        sts_endpoint: Option<String>,
        /// How it may be called.
        #[serde(default)]
        calls: Calls,
    },
    /// OpenBao or Vault Transit.
    Openbao {
        /// `https://host:port`.
        address: String,
        /// Where transit is mounted.
        #[serde(default = "default_mount")]
        mount: String,
        /// The namespace of that mount and of the login's.
        namespace: Option<String>,
        /// How to get a token.
        login: Login,
        /// The only certificate authorities to trust, PEM.
        ca: Option<PathBuf>,
        /// How it may be called.
        #[serde(default)]
        calls: Calls,
    },
    /// Google Cloud KMS.
    GoogleKms {
        /// `https://host`, where it is not Google's own.
        endpoint: Option<String>,
        /// A file of type `service_account` or `external_account`; without one, Application Default Credentials.
        credentials: Option<SecretSource>,
        /// The project that calls are counted against.
        quota_project: Option<String>,
        /// How it may be called.
        #[serde(default)]
        calls: Calls,
    },
    /// Azure Key Vault or Managed HSM.
    AzureKeyVault(AzureKeyVault),
}

/// A token behind a PKCS#11 module, which runs in worker processes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11 {
    /// The vendor's library.
    pub module: PathBuf,
    /// The token's label.
    pub token: Option<String>,
    /// The token as a PKCS#11 URI (RFC 7512), in place of its label.
    pub uri: Option<String>,
    /// The user PIN, unless the URI has a `pin-source`.
    pub pin: Option<SecretSource>,
    /// Handed to the module's C_Initialize: NSS wants it.
    pub library_parameters: Option<String>,
    /// Worker processes, for modules that do not scale by thread.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// For one call of the module, in milliseconds; a worker that takes longer is replaced.
    #[serde(default = "default_call_deadline_ms")]
    pub call_deadline_ms: u64,
    /// Variables that the module needs in its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How it may be called; the sessions of all workers together are as many as calls at a time.
    #[serde(default)]
    pub calls: Calls,
}

/// How a provider may be called.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// For one call with all its waits and retries.
    pub deadline_ms: u64,
    /// Calls at the same time, at most.
    pub concurrency: usize,
    /// The vendor's quota.
    pub per_second: Option<NonZeroU32>,
    /// Wraps of one version of a KEK.
    pub wrap_budget: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { deadline_ms: 5_000, concurrency: 16, per_second: None, wrap_budget: 1 << 31 }
    }
}

/// How the broker logs in to OpenBao.
#[derive(Debug, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Login {
    /// With a token made elsewhere.
    Token {
        /// The token.
        token: SecretSource,
    },
    /// With a role id and a secret id.
    AppRole {
        /// Where the method is mounted.
        #[serde(default = "default_app_role")]
        mount: String,
        /// The role's id, which is not secret.
        role_id: String,
        /// The secret id; no environment variable, for it is read at each login.
        secret_id: SecretSource,
    },
    /// With a token of an identity provider.
    Jwt {
        /// Where the method is mounted.
        #[serde(default = "default_jwt")]
        mount: String,
        /// The role to take.
        role: String,
        /// The identity provider's token; no environment variable, for it is read at each login.
        jwt: SecretSource,
    },
    /// With the token of a Kubernetes service account.
    Kubernetes {
        /// Where the method is mounted.
        #[serde(default = "default_kubernetes")]
        mount: String,
        /// The role to take.
        role: String,
        /// The service account's token; no environment variable, for it is read at each login.
        #[serde(default = "service_account_token")]
        jwt: SecretSource,
    },
    /// With a TLS client certificate.
    Certificate {
        /// Where the method is mounted.
        #[serde(default = "default_certificate")]
        mount: String,
        /// The only certificate role to try.
        role: Option<String>,
        /// The chain, PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: SecretSource,
    },
}

impl Provider {
    /// How it may be called.
    #[must_use]
    pub fn calls(&self) -> Calls {
        match self {
            Self::Software { calls, .. }
            | Self::AwsKms { calls, .. }
            | Self::GoogleKms { calls, .. }
            | Self::Openbao { calls, .. }
            | Self::Pkcs11(Pkcs11 { calls, .. })
            | Self::AzureKeyVault(AzureKeyVault { calls, .. }) => *calls,
        }
    }
}

fn default_workers() -> usize {
    1
}

fn default_call_deadline_ms() -> u64 {
    3_000
}

fn default_mount() -> String {
    "transit".into()
}

fn default_app_role() -> String {
    "approle".into()
}

fn default_jwt() -> String {
    "jwt".into()
}

fn default_kubernetes() -> String {
    "kubernetes".into()
}

fn default_certificate() -> String {
    "cert".into()
}

/// Where Kubernetes puts it into a pod.
fn service_account_token() -> SecretSource {
    SecretSource::File("/var/run/secrets/kubernetes.io/serviceaccount/token".into())
}

#[cfg(test)]
mod tests {
    use super::{Login, Provider};
    use crate::config::SecretSource;

    fn parse(login: &str) -> Result<Provider, toml::de::Error> {
        toml::from_str(&format!("type = \"openbao\"\naddress = \"https://bao.example:8200\"\nlogin = {{ {login} }}\n"))
    }

    fn mount(login: &str) -> Option<String> {
        let Ok(Provider::Openbao { login, .. }) = parse(login) else { panic!("{login} is not read") };
        match login {
            Login::Token { .. } => None,
            Login::AppRole { mount, .. }
            | Login::Jwt { mount, .. }
            | Login::Kubernetes { mount, jwt: SecretSource::File(_), .. }
            | Login::Certificate { mount, .. } => Some(mount),
            Login::Kubernetes { jwt: SecretSource::Env(_) | SecretSource::Credential(_), .. } => panic!("no file"),
        }
    }

    #[test]
    fn a_login_needs_little_and_takes_nothing_else() {
        let secret = r#"{ file = "f" }"#;
        let app_role = format!(r#"method = "app_role", role_id = "r", secret_id = {secret}"#);
        assert_eq!(mount(&format!(r#"method = "token", token = {secret}"#)), None);
        assert_eq!(mount(&app_role).as_deref(), Some("approle"));
        assert_eq!(mount(&format!(r#"method = "jwt", role = "r", jwt = {secret}"#)).as_deref(), Some("jwt"));
        assert_eq!(mount(r#"method = "kubernetes", role = "r""#).as_deref(), Some("kubernetes"));
        let certificate = format!(r#"method = "certificate", mount = "tls", certificate = "c", key = {secret}"#);
        assert_eq!(mount(&certificate).as_deref(), Some("tls"));
        for wrong in [format!("{app_role}, token = {secret}"), app_role.replace("app_role", "ldap"), String::new()] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }
}
