//! A tenant's users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for a new user.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// 1 to 128 of `A-Z a-z 0-9 . _ @ -`.
    #[schema(pattern = r"^[A-Za-z0-9_@-][A-Za-z0-9._@-]{0,127}$")]
    pub id: String,
    /// Where the person is told of what happens to their keys.
    #[serde(default)]
    #[schema(format = Email, max_length = 254)]
    pub email: Option<String>,
    /// The users directly above in the reporting line.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub managers: Vec<String>,
    /// Where the person's clocks are, as the IANA time zone database names it; UTC when not given.
    #[serde(default)]
    #[schema(example = "Europe/Berlin", max_length = 64)]
    pub time_zone: Option<String>,
    /// Who the person is to the issuer where the tenant's users log in.
    #[serde(default)]
    #[schema(max_length = 255)]
    pub subject: Option<String>,
}

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// As the tenant names the person.
    pub id: String,
    /// `active` or `revoked`.
    pub state: String,
    /// Where the person is told of what happens to their keys.
    pub email: Option<String>,
    /// The users directly above in the reporting line.
    pub managers: Vec<String>,
    /// Where the person's clocks are, as the IANA time zone database names it; `null` is UTC.
    pub time_zone: Option<String>,
    /// Who the person is to the issuer where the tenant's users log in; `null`: no login counts as theirs.
    pub subject: Option<String>,
    /// When it was made.
    pub created_at: i64,
}

/// Has a user told elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEmail {
    /// Where; `null` is nowhere.
    #[schema(format = Email, max_length = 254)]
    pub email: Option<String>,
}

/// Says who is directly above a user in the reporting line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetManagers {
    /// Users of the same tenant; none where nobody is above.
    #[schema(max_items = 16)]
    pub managers: Vec<String>,
}

/// Says where a user's clocks are.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTimeZone {
    /// As the IANA time zone database names it; `null` is UTC.
    #[schema(example = "Europe/Berlin", max_length = 64)]
    pub time_zone: Option<String>,
}

/// Says who a user is to the issuer where the tenant's users log in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSubject {
    /// `sub` of the issuer's ID tokens; `null`: no login counts as theirs.
    #[schema(max_length = 255)]
    pub subject: Option<String>,
}
