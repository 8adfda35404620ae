//! The ways to a token.

use super::client::{Client, Failure, Lease};
use secret::Secret;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// How the broker proves to OpenBao who it is. Files are read anew for each login, so they may be exchanged at any time.
#[derive(Debug)]
pub enum Login {
    /// With a token made elsewhere. When it ends, nothing takes its place.
    Token(Secret),
    /// With the AppRole method.
    AppRole {
        /// Path the method is mounted at.
        mount: String,
        /// The role's id. Not secret.
        role_id: String,
        /// A file with the secret id.
        secret_id: PathBuf,
    },
    /// With the JWT and OIDC method, or the Kubernetes method: both ask the same way.
    Jwt {
        /// Path the method is mounted at.
        mount: String,
        /// The role to take.
        role: String,
        /// A file with the token of the identity provider or of the service account.
        jwt: PathBuf,
    },
    /// With the TLS certificate method.
    Certificate {
        /// Path the method is mounted at.
        mount: String,
        /// The only certificate role to try; any that fits where there is none.
        role: Option<String>,
        /// The client's certificate chain and its private key, PEM.
        identity_pem: Secret,
    },
}

/// Why there is no token.
#[derive(Debug, Error)]
pub(super) enum LoginError {
    /// A file of the login cannot be read, or is empty.
    #[error("the credential cannot be read")]
    Credential(#[from] io::Error),
    /// OpenBao gave none.
    #[error(transparent)]
    Call(#[from] Failure),
}

impl LoginError {
    /// The server has looked at the credentials and wants others.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Call(failure) => failure.is_refusal(),
            Self::Credential(_) => false,
        }
    }

    /// The same login may do later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Call(Failure::BadToken(_)) | Self::Credential(_) => false,
            Self::Call(failure) => !failure.is_refusal(),
        }
    }
}

impl Login {
    /// Gives `client` a token. A login that fails leaves it the one it has.
    pub(super) async fn log_in(&self, client: &Client) -> Result<Lease, LoginError> {
        let lease = match self {
            Self::Token(token) => client.adopt(token).await?,
            Self::AppRole { mount, role_id, secret_id } => {
                let secret_id = read(secret_id).await?;
                client.log_in(mount, &[("role_id", role_id), ("secret_id", &secret_id)]).await?
            }
            Self::Jwt { mount, role, jwt } => {
                let jwt = read(jwt).await?;
                client.log_in(mount, &[("role", role), ("jwt", &jwt)]).await?
            }
            Self::Certificate { mount, role, .. } => {
                let role = role.as_ref().map(|role| ("name", role.as_str()));
                client.log_in(mount, role.as_slice()).await?
            }
        };
        Ok(lease)
    }
}

/// A file without the white space around its text.
async fn read(path: &Path) -> Result<Zeroizing<String>, io::Error> {
    let bytes = Zeroizing::new(tokio::fs::read(path).await?);
    let text = str::from_utf8(&bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?.trim();
    if text.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Zeroizing::new(text.to_owned()))
}
