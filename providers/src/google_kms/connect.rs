//! Setting the library up: whose credentials, which endpoint, and none of what the library would do by itself.

use crate::endpoint::{self, EndpointError};
use google_cloud_auth::credentials::{self, external_account, service_account};
use google_cloud_gax::client_builder::internal::with_follow_redirects;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_kms_v1::client::KeyManagementService;
use secret::Secret;
use serde_json::Value;
use std::time::Duration;
use thiserror::Error;

/// A backstop: the broker's own deadline is shorter.
const DEADLINE: Duration = Duration::from_secs(10);

/// Where Cloud KMS is and who uses it.
#[derive(Debug, Default)]
pub struct Options {
    /// `https://host`, where it is not Google's own. Plain HTTP is accepted for loopback only.
    pub endpoint: Option<String>,
    /// Whose rights are used.
    pub credentials: Credentials,
    /// The project that calls are counted against, where it is not that of the credentials.
    pub quota_project: Option<String>,
}

/// Whose rights are used.
#[derive(Debug, Default)]
pub enum Credentials {
    /// Application Default Credentials, as Google describes them: `GOOGLE_APPLICATION_CREDENTIALS`, the file of
    /// `gcloud`, the metadata server.
    #[default]
    ApplicationDefault,
    /// A credentials file of type `service_account` (a key) or `external_account` (workload identity federation), JSON.
    File(Secret),
}

/// Why Cloud KMS is not used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The endpoint may not be used.
    #[error("the endpoint cannot be used")]
    Endpoint(#[from] EndpointError),
    /// The credentials file is not JSON.
    #[error("the credentials file is not JSON")]
    Json(#[source] serde_json::Error),
    /// The credentials file is of a type that is not taken.
    #[error("the credentials file is neither a `service_account` nor an `external_account`")]
    Type,
    /// The credentials cannot be used.
    #[error("the credentials cannot be used")]
    Credentials(#[source] google_cloud_auth::build_errors::Error),
    /// The client cannot be set up.
    #[error("the client cannot be set up")]
    Client(#[source] google_cloud_gax::client_builder::Error),
}

/// A client that sends each call once, and nowhere else. Makes no call to Cloud KMS yet.
pub(super) async fn connect(options: Options) -> Result<KeyManagementService, ConnectError> {
    // The library panics where nobody has chosen a TLS provider. An error here means that somebody has by now.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let credentials = credentials(options.credentials, options.quota_project)?;
    let builder = KeyManagementService::builder().with_credentials(credentials);
    let builder = builder.with_retry_policy(NeverRetry).with_attempt_timeout(DEADLINE);
    // The library would take plaintext and token wherever an answer sends it, also in clear.
    let builder = with_follow_redirects(builder, false);
    let builder = match options.endpoint {
        Some(address) => builder.with_endpoint(endpoint::parse(&address)?),
        None => builder,
    };
    builder.build().await.map_err(ConnectError::Client)
}

fn credentials(wanted: Credentials, quota_project: Option<String>) -> Result<credentials::Credentials, ConnectError> {
    let built = match wanted {
        Credentials::ApplicationDefault => {
            let builder = credentials::Builder::default();
            quota_project.into_iter().fold(builder, credentials::Builder::with_quota_project_id).build()
        }
        Credentials::File(file) => return from_file(&file, quota_project),
    };
    built.map_err(ConnectError::Credentials)
}

fn from_file(file: &Secret, quota_project: Option<String>) -> Result<credentials::Credentials, ConnectError> {
    #[expect(clippy::disallowed_methods, reason = "the library takes credentials as JSON")]
    let file: Value = serde_json::from_slice(file.expose()).map_err(ConnectError::Json)?;
    let built = match file["type"].as_str() {
        Some("service_account") => {
            let builder = service_account::Builder::new(file);
            quota_project.into_iter().fold(builder, service_account::Builder::with_quota_project_id).build()
        }
        Some("external_account") => {
            let builder = external_account::Builder::new(file).with_retry_policy(NeverRetry);
            quota_project.into_iter().fold(builder, external_account::Builder::with_quota_project_id).build()
        }
        Some(_) | None => return Err(ConnectError::Type),
    };
    built.map_err(ConnectError::Credentials)
}
