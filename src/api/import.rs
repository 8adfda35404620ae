//! Keys that customers bring.

use protocol::ceremony::{KeyName, ProviderName};
use protocol::encoding::Base64Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for what a ceremony needs to wrap a key for a provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskImportParameters {
    /// A provider of the configuration file.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// What that provider calls the key, or is to call it.
    #[schema(value_type = String)]
    pub key: KeyName,
}

/// Asks to import what a ceremony made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportKek {
    /// A provider of the configuration file.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// What that provider calls the key, or is to call it.
    #[schema(value_type = String)]
    pub key: KeyName,
    /// The wrapped key, in base64url.
    #[schema(value_type = String)]
    pub material: Base64Url<Vec<u8>>,
    /// From the parameters.
    #[schema(value_type = String)]
    pub token: Base64Url<Vec<u8>>,
}
