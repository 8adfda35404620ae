use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A person was erased from the log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    /// The `cor` of the event `subject.erased`, and the mark of every event that nobody can disclose any more.
    pub erasure: Uuid,
}
