//! Sinks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A sink, and how far it is with the tenant's log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sink {
    /// Its name in the configuration.
    pub name: String,
    /// What a delivery means: `confirmed` by the receiver, or only `transmitted`.
    pub delivery: String,
    /// `running`, `retrying` or `paused`.
    pub state: String,
    /// Why it is not running, as a code; `operator` where one has paused it.
    pub reason: Option<String>,
    /// Since when it is not running; absent where an operator has paused it.
    pub since: Option<i64>,
    /// Events in the log.
    pub size: u64,
    /// The lowest index that is not confirmed.
    pub next: u64,
    /// Events that are not confirmed.
    pub lag_events: u64,
    /// How long the oldest of them waits.
    pub lag_seconds: u64,
    /// When the receiver confirmed last.
    pub confirmed_at: Option<i64>,
    /// Events that the receiver took.
    pub sent: u64,
    /// Events that this sink is configured not to get.
    pub filtered: u64,
    /// Dead letters: events that the receiver refused for good.
    pub dead: u64,
    /// Events that operators gave up.
    pub given_up: u64,
    /// What is still to be delivered again.
    pub replays: Vec<IndexRange>,
}

/// Events by their indices.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IndexRange {
    /// The first.
    pub from: u64,
    /// The first beyond.
    pub to: u64,
}

/// What became of a test message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TestedSink {
    /// `ok`, or why the receiver did not take it, as a code.
    pub outcome: String,
}

/// Asks that a range be delivered once more, by index or by time; to the newest delivered event where no end is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskReplay {
    /// The first index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The first index beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// In place of `from`: events since this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// In place of `to`: events before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// Gives up what is not delivered.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskGap {
    /// The first index that is still to be delivered.
    pub to: u64,
    /// Goes into the log.
    #[schema(min_length = 1, max_length = 512, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub reason: String,
}

/// An event that a receiver refused for good. The event itself is in the log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeadLetter {
    /// Which event.
    pub index: u64,
    /// Why, as a code.
    pub reason: String,
    /// When.
    pub refused_at: i64,
}
