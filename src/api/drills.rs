//! Drills.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Asks to open a random sample of records, and to release nothing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskDrill {
    /// How many records, 1 to 1,000.
    #[schema(minimum = 1, maximum = 1000)]
    pub sample: u16,
}

/// What a drill found. Passed when nothing failed and nothing is left untried.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Drill {
    /// The `cor` of its events.
    pub id: Uuid,
    /// Records drawn; fewer than asked for where there are no more.
    pub sampled: usize,
    /// Records of which every wrap opened.
    pub opened: usize,
    /// Records for which there was no time.
    pub untried: usize,
    /// Each wrap that did not open.
    pub failed: Vec<DrillFailure>,
    /// For each KEK, what became of its wraps.
    pub keks: Vec<DrilledKek>,
}

/// A wrap that did not open.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DrillFailure {
    /// Whose wrap.
    pub record: Uuid,
    /// Under which KEK.
    pub kek: Uuid,
    /// Why.
    pub code: String,
}

/// What became of a KEK's wraps in a drill.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DrilledKek {
    /// The KEK.
    pub kek: Uuid,
    /// Wraps that opened.
    pub opened: u64,
    /// Wraps that did not.
    pub failed: u64,
}
