//! The log.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which events to give: all that are like this.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// From this index on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Up to this index, which is not given any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// In place of `from`: from this time on, in unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// In place of `to`: before this time, in unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Of this kind, such as `restore.released`, or of a group: `restore.*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evt: Option<String>,
    /// With this outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// About the KEK of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kek: Option<String>,
    /// About KEKs of this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prov: Option<String>,
    /// About this restore, record or job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cor: Option<Uuid>,
    /// Backwards from the last.
    pub newest_first: bool,
    /// At most so many, 1 to 1,000; 1,000 when not given.
    #[param(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u16>,
}

/// An event as the log has it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its index.
    pub index: u64,
    /// The signed leaf: an SD-JWT (RFC 9901) without its disclosures.
    pub leaf: String,
    /// What it withholds; empty when the person was erased.
    pub disclosures: Vec<String>,
    /// The `cor` of the `subject.erased` by which nobody can disclose it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Uuid>,
}

/// Events in order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// At most 1,000. Where few are like what was asked for, there may be none although `next` is there: one answer looks at
    /// 20,000 events.
    pub events: Vec<Event>,
    /// Where to go on: `from`, or `to` where the newest come first. Absent when all was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// An event that can be checked offline.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProvenEvent {
    /// The event.
    pub event: Event,
    /// Proves its leaf under the newest checkpoint (C2SP tlog-proof).
    pub proof: String,
}

/// Where a stream of events begins.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// At this index; at what happens next when not given. `Last-Event-ID` goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

/// How a tenant's log stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogStanding {
    /// Its name.
    pub origin: String,
    /// The verifier key of its checkpoints (C2SP signed-note).
    pub vkey: String,
    /// Events in it.
    pub size: u64,
    /// When the last one was written.
    pub changed_at: i64,
    /// Why it takes no event, where it is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenLog>,
    /// What each witness has cosigned.
    pub witnesses: Vec<Witnessed>,
}

/// What a witness knows that does not fit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FrozenLog {
    /// The witness, as the configuration names it.
    pub witness: String,
    /// `shorter`: the end of the log is gone; `forked`: the witness knows another history.
    pub contradiction: String,
    /// Events in the log that the witness knows.
    pub witnessed_size: u64,
    /// Since when.
    pub frozen_at: i64,
}

/// The newest that a witness has cosigned.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Witnessed {
    /// The witness, as the configuration names it.
    pub witness: String,
    /// Events in the log then.
    pub size: u64,
    /// When its cosignature came.
    pub received_at: i64,
}
