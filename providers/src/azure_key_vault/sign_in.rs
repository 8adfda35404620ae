//! Tokens of Entra ID, by Microsoft's credentials.

use super::assertion::{CertificateAssertion, Signer};
use super::transport::Transport;
use super::{ConnectError, Credential, client};
use async_trait::async_trait;
use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientOptions, RetryOptions, Transport as Transported};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use std::path::PathBuf;
use std::sync::Arc;

const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com";

/// A credential that keeps no token. The policy that asks it keeps one, and asks again when that one is about to expire
/// or the vault has refused it: a credential that then gave the same token again would lock the broker out until it expires.
#[derive(Debug)]
pub(super) struct SignIn {
    identity: Identity,
    options: ClientOptions,
}

#[derive(Debug)]
enum Identity {
    Machine { client_id: Option<String> },
    Workload { tenant_id: Option<String>, client_id: Option<String>, token_file: Option<PathBuf> },
    Certificate { tenant_id: String, client_id: String, signer: Arc<Signer> },
}

impl SignIn {
    /// Makes no call yet. Entra ID is at `authority_host`, by default that of the public cloud.
    pub(super) fn new(
        credential: Credential,
        authority_host: Option<&str>,
        ca_pem: Option<&[u8]>,
    ) -> Result<Self, ConnectError> {
        let authority = client::https(authority_host.unwrap_or(PUBLIC_CLOUD))?;
        let authority_host = authority.as_str().trim_end_matches('/').to_owned();
        let transport = match &credential {
            Credential::ManagedIdentity { .. } => Transport::to_machine()?,
            Credential::WorkloadIdentity { .. } | Credential::ClientCertificate { .. } => Transport::to_entra(ca_pem)?,
        };
        let identity = match credential {
            Credential::ManagedIdentity { client_id } => Identity::Machine { client_id },
            Credential::WorkloadIdentity { tenant_id, client_id, token_file } => {
                Identity::Workload { tenant_id, client_id, token_file }
            }
            Credential::ClientCertificate { tenant_id, client_id, certificate, key } => {
                let audience = format!("{authority_host}/{tenant_id}/oauth2/v2.0/token");
                let signer = Signer::new(audience, client_id.clone(), &certificate, &key)?;
                Identity::Certificate { tenant_id, client_id, signer: Arc::new(signer) }
            }
        };
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = authority_host;
        let options = ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transported::new(Arc::new(transport))),
            cloud: Some(Arc::new(cloud.into())),
            ..ClientOptions::default()
        };
        Ok(Self { identity, options })
    }

    /// A credential that has no token yet.
    fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = self.options.clone();
        let credential_options = ClientAssertionCredentialOptions { client_options: client_options.clone() };
        Ok(match &self.identity {
            Identity::Machine { client_id } => {
                let user_assigned_id = client_id.clone().map(UserAssignedId::ClientId);
                let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                ManagedIdentityCredential::new(Some(options))?
            }
            Identity::Workload { tenant_id, client_id, token_file } => {
                let options = WorkloadIdentityCredentialOptions {
                    credential_options,
                    client_id: client_id.clone(),
                    tenant_id: tenant_id.clone(),
                    token_file_path: token_file.clone(),
                };
                WorkloadIdentityCredential::new(Some(options))?
            }
            Identity::Certificate { tenant_id, client_id, signer } => {
                let assertion = CertificateAssertion(signer.clone());
                let (tenant_id, client_id) = (tenant_id.clone(), client_id.clone());
                ClientAssertionCredential::new(tenant_id, client_id, assertion, Some(credential_options))?
            }
        })
    }
}

#[async_trait]
impl TokenCredential for SignIn {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.credential()?.get_token(scopes, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, SignIn};
    use crate::azure_key_vault::transport::Failure;
    use async_trait::async_trait;
    use azure_core::credentials::TokenCredential;
    use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, Transport};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A machine's identity service that is busy.
    #[derive(Debug, Default)]
    struct Busy(AtomicUsize);

    #[async_trait]
    impl HttpClient for Busy {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(Failure::Answer { status: 503, retry_after: None, codes: Vec::new() }.into())
        }
    }

    /// The SDK tries again for more than a minute there, whatever retries are asked for.
    #[tokio::test]
    async fn asks_a_virtual_machine_once() {
        let busy = Arc::new(Busy::default());
        let options = ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(busy.clone())),
            ..ClientOptions::default()
        };
        let sign_in = SignIn { identity: Identity::Machine { client_id: None }, options };
        assert!(sign_in.get_token(&["https://vault.azure.net/.default"], None).await.is_err());
        assert_eq!(busy.0.load(Ordering::Relaxed), 1);
    }
}
