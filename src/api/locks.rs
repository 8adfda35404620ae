//! Users who are locked, and frozen restores.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Nothing is released to a user, or to anybody of the tenant. Nothing is lost.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Lock {
    /// Who; nobody where all restores of the tenant are frozen.
    pub user: Option<String>,
    /// An administrator did it; else a quota was spent.
    pub by_admin: bool,
    /// When.
    pub locked_at: i64,
}

/// Locks a user's restores, freezes the tenant's, or lets them go on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskLock {
    /// Whose; without it, all of the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Goes into the log.
    #[schema(min_length = 1, max_length = 512, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub reason: String,
}

/// Which locks.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LocksQuery {
    /// Only those that keep restores of this user back: their own, and the tenant's.
    pub user: Option<String>,
    /// Where the part before ended.
    #[serde(default)]
    pub after: String,
    /// At most so many: 1 to 1000, 100 if it is not said.
    pub limit: Option<u16>,
}
