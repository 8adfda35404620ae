use serde::{Deserialize, Serialize};

/// What went wrong, as `application/problem+json` (RFC 9457). Programs look at `code`, people at the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A URI that names the problem.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The same words each time.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable, `snake_case`.
    pub code: String,
    /// This time's words, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    /// Media type of a problem.
    pub const CONTENT_TYPE: &str = "application/problem+json";
    /// Code: the nonce is spent, expired or not the broker's. Sign again with the one in this answer's `Replay-Nonce`.
    pub const BAD_NONCE: &str = "bad_nonce";
    /// Code: the generation is not one more than the newest. List the records, then wrap again.
    pub const STALE_GENERATION: &str = "stale_generation";
    /// Code: another request is releasing this restore right now. Ask again in a moment.
    pub const RESTORE_IN_PROGRESS: &str = "restore_in_progress";
    /// Code: the ingress key is no longer in use. Fetch the device's status, then seal again.
    pub const STALE_INGRESS: &str = "stale_ingress";
}
