//! Rewraps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks that every record be wrapped anew that is not under the KEKs, and their versions, that its tenant wants.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRewrap {
    /// At most so many records a second, 1 to 100,000; as fast as the providers allow when not given.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub per_second: Option<u32>,
    /// Open every record once more at the end; `true` when not given.
    #[serde(default)]
    pub verify: Option<bool>,
}

/// What is to become of a rewrap.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewrapStep {
    /// It waits.
    Pause,
    /// It goes on.
    Resume,
    /// It is given up; what was wrapped anew stays so.
    Stop,
}

/// Asks for the next step of a rewrap.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepRewrap {
    /// What.
    pub step: RewrapStep,
}

/// A rewrap, and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rewrap {
    /// Its id; its events have it as `cor`.
    pub id: Uuid,
    /// `running`, `paused`, `completed` or `stopped`.
    pub state: String,
    /// Why it is paused, as a code; empty where an administrator wants it so.
    pub reason: String,
    /// Records to be wrapped anew when it began.
    pub total: u64,
    /// Records still to be wrapped anew; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// At this pace it has wrapped all of them in so many seconds; absent when nothing can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    /// At most so many records a second.
    pub per_second: Option<u32>,
    /// Whether every record is opened once more at the end.
    pub verify: bool,
    /// When it began.
    pub started_at: i64,
    /// When its state changed last.
    pub changed_at: i64,
}
