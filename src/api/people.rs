//! People who administer, their sessions and their tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A ceremony with a passkey that has begun.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Ceremony {
    /// To be named when it is finished; within five minutes.
    pub ceremony: Uuid,
    /// The argument of `navigator.credentials.create` or `.get`, in the JSON form of WebAuthn Level 3.
    #[schema(value_type = Object)]
    pub options: serde_json::Value,
    /// Whom a first passkey is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An invitation that is taken up.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// What the link carries.
    pub invitation: String,
    /// What the first administrator wants to be called; nobody else is asked.
    #[serde(default)]
    pub name: Option<String>,
}

/// Whose administrator wants to sign on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginSignOn {
    /// A tenant, or `installation`.
    pub tenant: String,
}

/// Where to send the browser.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SignOn {
    /// The issuer's.
    pub url: String,
}

/// The query with which the issuer sent the browser back (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOnCallback {
    /// As it went out.
    pub state: String,
    /// Good once.
    pub code: String,
    /// Which issuer made the code.
    #[serde(default)]
    pub iss: Option<String>,
}

/// What an issuer sends when a session there is over.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BackChannelLogout {
    /// Signed by the issuer.
    pub logout_token: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// The person.
    pub admin: Admin,
    /// To be sent as `Keyfold-Csrf` with every request that changes anything.
    pub csrf: String,
    /// This session.
    pub session: Uuid,
    /// Unix milliseconds; unless it is used before.
    pub expires_at: i64,
    /// What the person may do.
    pub acts: Vec<String>,
}

/// A person who administers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Admin {
    /// The person's id.
    pub id: Uuid,
    /// Where: a tenant, or `installation` for all of them.
    pub tenant: String,
    /// What events call the person by, after `admin:`.
    pub name: String,
    /// Where notices go.
    pub email: Option<String>,
    /// `owner`, `security_officer`, `approver`, `help_desk`, `auditor`, `break_glass`.
    pub roles: Vec<String>,
    /// The person's own account among the tenant's users.
    pub user: Option<String>,
    /// Who the person is to the tenant's issuer.
    pub subject: Option<String>,
    /// `invited`, `active` or `revoked`.
    pub state: String,
    /// What the person signs with.
    pub passkeys: Vec<Passkey>,
    /// Unix milliseconds.
    pub created_at: i64,
}

/// A passkey, without its key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Passkey {
    /// The credential's id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Whether its make was proven.
    pub attested: bool,
}

/// Who is to administer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Appoint {
    /// 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`; unique in the tenant.
    pub name: String,
    /// Where notices go.
    #[serde(default)]
    pub email: Option<String>,
    /// At least one.
    pub roles: Vec<String>,
    /// Who they are to the tenant's issuer (`sub`), to sign on there.
    #[serde(default)]
    pub subject: Option<String>,
    /// The person's own account among the tenant's users: they never approve for it.
    #[serde(default)]
    pub user: Option<String>,
}

/// A person who was invited.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Invited {
    /// The person.
    pub admin: Admin,
    /// The link to give them: shown once, good once, for three days.
    pub link: String,
}

/// Other roles.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// All of them; at least one.
    pub roles: Vec<String>,
}

/// A session.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The session.
    pub id: Uuid,
    /// Where it began.
    pub ip: String,
    /// With what.
    pub agent: Option<String>,
    /// Unix milliseconds.
    pub began_at: i64,
    /// Unix milliseconds.
    pub seen_at: i64,
    /// Unix milliseconds; unless it is used before.
    pub expires_at: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// The sessions of a person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// Newest first.
    pub items: Vec<Session>,
}

/// An API token, without the token.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// What events call it by, after `token:`.
    pub name: String,
    /// What it may do.
    pub acts: Vec<String>,
    /// Who made it.
    pub made_by: String,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub expires_at: i64,
    /// What is sent as `Authorization: Bearer`: shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A token to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub name: String,
    /// What it may do: no more than its maker.
    pub acts: Vec<String>,
    /// For how long, 1 to 365.
    pub days: u32,
}

/// A request that is about to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginAct {
    /// `POST`.
    pub method: String,
    /// With the query, if any.
    pub path: String,
    /// The body, byte for byte as it will be sent; empty for none.
    #[serde(default)]
    pub body: String,
}

/// What the person is to be shown, and what signs it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Act {
    /// To be sent as `Keyfold-Act`; none where no signature is needed.
    pub act: Option<Uuid>,
    /// What will happen.
    pub shown: Shown,
    /// The argument of `navigator.credentials.get`; none where no signature is needed.
    #[schema(value_type = Option<Object>)]
    pub options: Option<serde_json::Value>,
}

/// What the person is to be shown.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Shown {
    /// In a sentence.
    pub title: String,
    /// To what.
    pub lines: Vec<Line>,
}

/// A name and a value.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}
