//! What went on.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How far back to look.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Hours, 1 to 744; 24 when not given.
    #[param(minimum = 1, maximum = 744)]
    pub hours: Option<u16>,
}

/// What went on, hour by hour.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Activity {
    /// The oldest first; the last is not over.
    pub hours: Vec<ActivityHour>,
}

/// One hour. The counts are the log's.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ActivityHour {
    /// When it began.
    pub begins_at: i64,
    /// Records that were wrapped.
    pub wraps: u64,
    /// Restores that were released.
    pub restores: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Wraps and restores that failed.
    pub failures: u64,
    /// How long wraps took; absent where there were none since the broker's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_latency: Option<Latency>,
    /// How long releases took; absent where there were none since the broker's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_latency: Option<Latency>,
}

/// How long something took, in milliseconds; half as much again as it was, at worst.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
}
