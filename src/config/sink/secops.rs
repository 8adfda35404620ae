//! `[[sinks]]` of type `secops`.

use super::https::Connection;
use crate::config::SecretSource;
use serde::Deserialize;

/// A Google SecOps instance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secops {
    /// The Google Cloud project.
    pub project: String,
    /// The instance's location.
    pub location: String,
    /// The instance's id.
    pub instance: String,
    /// The log type.
    #[serde(default = "default_log_type")]
    pub log_type: String,
    /// The id of the forwarder that logs are counted under.
    pub forwarder: Option<String>,
    /// `https://host`, where it is not Google's own.
    pub endpoint: Option<String>,
    /// A file of type `service_account` or `external_account`; without one, Application Default Credentials.
    pub credentials: Option<SecretSource>,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

fn default_log_type() -> String {
    "KEYFOLD_CUSTOM".into()
}
