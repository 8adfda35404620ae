//! Lists that are narrowed, and searches.

use super::PageQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A page of what users have.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct OwnedQuery {
    /// Items after this one; from the `next` of the page before.
    pub after: String,
    /// At most so many, 1 to 1,000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// Only this user's.
    pub user: Option<String>,
}

/// A page of restores.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct RestoresQuery {
    /// Restores after this one; from the `next` of the page before.
    pub after: String,
    /// At most so many, 1 to 1,000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// Only this user's.
    pub user: Option<String>,
    /// Only this device's.
    pub device: Option<Uuid>,
    /// Only those in this state.
    pub state: Option<String>,
    /// Backwards from the newest.
    pub newest_first: bool,
}

impl OwnedQuery {
    /// What of it is about pages.
    #[must_use]
    pub fn page(&self) -> PageQuery {
        PageQuery { after: self.after.clone(), limit: self.limit }
    }
}

impl RestoresQuery {
    /// What of it is about pages.
    #[must_use]
    pub fn page(&self) -> PageQuery {
        PageQuery { after: self.after.clone(), limit: self.limit }
    }
}

/// What to look for.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// An id, the beginning of a user's, or an event's index: 1 to 300 characters.
    pub q: String,
}

/// What was found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Hits {
    /// Nothing, where nothing of the tenant has that id.
    pub hits: Vec<Hit>,
}

/// One thing of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum Hit {
    /// A user.
    User(String),
    /// A device.
    Device(Uuid),
    /// A record.
    Record(Uuid),
    /// A restore.
    Restore(Uuid),
    /// A KEK.
    Kek(Uuid),
    /// A rewrap.
    Rewrap(Uuid),
    /// An event, by its index.
    Event(u64),
}
