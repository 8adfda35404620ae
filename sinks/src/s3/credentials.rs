//! Whose rights are used: keys from the configuration, or what the default chain of the AWS SDKs finds.

use super::OpenError;
use crate::{PauseReason, Trouble};
use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use secret::Secret;
use std::error::Error;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// For all sources of credentials together.
const SEARCH: Duration = Duration::from_secs(10);
/// Credentials are replaced so long before they end.
const MARGIN: Duration = Duration::from_secs(300);

/// Whose rights are used.
#[derive(Debug)]
pub enum Access {
    /// The default chain of the AWS SDKs: environment, web identity, profile, container, instance.
    DefaultChain,
    /// An access key.
    Key {
        /// The access key's id, which is not secret.
        id: String,
        /// The secret access key.
        secret: Secret,
        /// The token that goes with temporary credentials.
        session_token: Option<Secret>,
    },
}

/// Where credentials come from, and those in use.
#[derive(Debug)]
pub(super) struct Source {
    region: Region,
    /// The default chain is put together when it is needed first.
    provider: Option<SharedCredentialsProvider>,
    held: Option<Credentials>,
}

impl Source {
    /// Looks for nothing yet.
    pub(super) fn new(access: Access, region: &str) -> Result<Self, OpenError> {
        let provider = match access {
            Access::DefaultChain => None,
            Access::Key { id, secret, session_token } => {
                let session_token = session_token.as_ref().map(text).transpose()?;
                let keys = Credentials::new(id, text(&secret)?, session_token, None, "configuration");
                Some(SharedCredentialsProvider::new(keys))
            }
        };
        Ok(Self { region: Region::new(region.to_owned()), provider, held: None })
    }

    /// Credentials that are good for some minutes more.
    pub(super) async fn credentials(&mut self) -> Result<Credentials, Trouble> {
        let soon = SystemTime::now() + MARGIN;
        if let Some(held) = self.held.as_ref().filter(|held| held.expiry().is_none_or(|end| end > soon)) {
            return Ok(held.clone());
        }
        let found = timeout(SEARCH, self.search()).await.map_err(|_| Trouble::Retry { after: None })?;
        Ok(self.held.insert(found.map_err(|error| missing(&error))?).clone())
    }

    /// Looks for others the next time: those in use are not accepted any more.
    pub(super) fn forget(&mut self) {
        self.held = None;
    }

    async fn search(&mut self) -> Result<Credentials, CredentialsError> {
        let provider = match &mut self.provider {
            Some(provider) => provider,
            none => none.insert(SharedCredentialsProvider::new(default_chain(self.region.clone()).await)),
        };
        provider.provide_credentials().await
    }
}

async fn default_chain(region: Region) -> DefaultCredentialsChain {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let sources = ProviderConfig::default().with_region(Some(region.clone())).with_http_client(http);
    DefaultCredentialsChain::builder().region(region).configure(sources).build().await
}

fn text(secret: &Secret) -> Result<String, OpenError> {
    #[expect(clippy::disallowed_methods, reason = "the library that signs takes text, and wipes it")]
    let text = std::str::from_utf8(secret.expose()).map_err(|_| OpenError::Key)?;
    Ok(text.to_owned())
}

/// Having none, and what is wrong in a file, is for the operator; a source that fails may be well again.
fn missing(error: &CredentialsError) -> Trouble {
    tracing::debug!(error = error as &dyn Error, "there are no AWS credentials");
    match error {
        CredentialsError::CredentialsNotLoaded(_) => Trouble::Paused(PauseReason::Unauthorized),
        CredentialsError::InvalidConfiguration(_) => Trouble::Paused(PauseReason::Misconfigured),
        _ => Trouble::Retry { after: None },
    }
}
