//! Findings: raised ones, and what would have been.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Something that looks wrong.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The index of its `finding.raised`; absent in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// When it was raised; in a dry run, when it would have been.
    pub at: i64,
    /// The rule's id, or what was found where no rule over the log found it.
    pub rule: String,
    /// The restore, job or record that it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cor: Option<Uuid>,
    /// What the rule saw; absent where no rule over the log found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenByRule>,
}

/// What a rule saw, to be checked against the log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SeenByRule {
    /// The rule's version.
    pub version: u32,
    /// What the rule was set to.
    pub threshold: u64,
    /// What was observed, in the rule's unit.
    pub observed: u64,
    /// The indices of the events that show it; the last completed it.
    pub events: Vec<u64>,
}

/// What to look for in the past. Without `rule`, what the broker is set to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DryRunQuery {
    /// The first event that may complete a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The first event that is not looked at any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// This rule alone, also when it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where that rule finds something; its default when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
}

/// What would have been raised.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DryRun {
    /// In the order of the events that complete them; at most about 1,000.
    pub findings: Vec<Finding>,
    /// The first event that was not looked at.
    pub next: u64,
    /// Whether all was looked at; where time or room ran out, raise `from` to `next`.
    pub complete: bool,
}
