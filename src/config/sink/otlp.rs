//! `[[sinks]]` of type `otlp`.

use super::https::Connection;
use crate::config::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An OpenTelemetry collector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The whole address for logs.
    pub url: String,
    /// Headers by name.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// How requests are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// How it is reached.
    #[serde(default)]
    pub connection: Connection,
}

/// By the names of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
}
