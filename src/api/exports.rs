use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Says what an auditor is to be shown.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskExport {
    /// Who it is for; goes into the log.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    #[serde(rename = "for")]
    pub auditor: String,
    /// The fields that will be disclosed.
    pub fields: Vec<String>,
    /// The only kinds of events of which they will be, such as `restore.released` or `restore.*`; all when not given.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// The first event; with a time, the first that has it or a later one. The log's first when not given.
    #[serde(default)]
    pub from: Option<Place>,
    /// Where to stop, before this event; the log's end when not given.
    #[serde(default)]
    pub to: Option<Place>,
}

/// A place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// The event of this index.
    Index(u64),
    /// The first event of this time or later, in unix milliseconds.
    Time(i64),
}

/// What an export for an auditor is made from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Export {
    /// The `cor` of the event `audit.exported`.
    pub export: Uuid,
    /// When it was asked for.
    pub made_at: i64,
    /// Index of the first event.
    pub from: u64,
    /// Index after the last event.
    pub to: u64,
    /// A signed checkpoint of the log that has them all: the newest that witnesses have cosigned, or else the newest.
    pub checkpoint: String,
    /// The policies in force.
    pub policies: String,
    /// The schema that they are written for.
    pub schema: String,
}
