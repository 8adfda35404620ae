//! The admin API's requests and answers, as JSON: what the server takes and the command line sends.
//!
//! Times are unix milliseconds. Requests refuse members they do not know.

mod activity;
mod approvals;
mod destructions;
mod drills;
mod erasures;
mod events;
mod exports;
mod findings;
mod import;
mod keks;
mod locks;
mod lookup;
mod people;
mod policies;
mod rewraps;
mod sinks;
mod users;

pub use activity::{Activity, ActivityHour, ActivityQuery, Latency};
pub use approvals::{Approvals, Decide, Decided, Demand, PolicyName};
pub use destructions::{ConfirmDestruction, Destroyed, Destruction};
pub use drills::{AskDrill, Drill, DrillFailure, DrilledKek};
pub use erasures::Erased;
pub use events::{Event, Events, EventsQuery, FrozenLog, LogStanding, ProvenEvent, StreamQuery, Witnessed};
pub use exports::{AskExport, Export, Place};
pub use findings::{DryRun, DryRunQuery, Finding, SeenByRule};
pub use import::{AskImportParameters, ImportKek};
pub use keks::{Kek, KekDetails, KekHealth, KekHoldings, Probe, ProbeStep, Protect, RegisterKek, RotateKek};
pub use locks::{AskLock, Lock, LocksQuery};
pub use lookup::{Hit, Hits, OwnedQuery, RestoresQuery, SearchQuery};
pub use people::{
    Act, Admin, Appoint, Assign, BackChannelLogout, BeginAct, BeginSignOn, Ceremony, CreateToken, Invited, Join, Line,
    Passkey, Session, Sessions, Shown, SignOn, SignOnCallback, SignedIn, Token,
};
pub use policies::{
    DraftPolicy, PolicyDecision, PolicyInForce, PolicyLibrary, PolicyMistake, PolicySeen, PolicyTried, PolicyValidated,
    PolicyVersion, ReadyPolicies, RestoreTried, TryPolicy, ValidatePolicy,
};
pub use rewraps::{Rewrap, RewrapStep, StartRewrap, StepRewrap};
pub use sinks::{AskGap, AskReplay, DeadLetter, IndexRange, Sink, TestedSink};
pub use users::{CreateUser, SetEmail, SetManagers, SetSubject, SetTimeZone, User};

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Where a list goes on, and how much of it to give.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items after this one; from the `next` of the page before.
    pub after: String,
    /// At most so many, 1 to 1,000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// In the order of their ids.
    pub items: Vec<T>,
    /// The `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks for a new tenant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTenant {
    /// 1 to 128 of `A-Z a-z 0-9 . _ @ -`.
    #[schema(pattern = r"^[A-Za-z0-9_@-][A-Za-z0-9._@-]{0,127}$")]
    pub id: String,
    /// For people.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub name: String,
    /// Days after enrolment in which a device without attestation may restore; without it, never.
    #[serde(default)]
    pub unattested_days: Option<u32>,
}

/// A tenant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// `active` or `revoked`.
    pub state: String,
    /// The KEK that wraps its records; absent before the first is registered.
    pub kek: Option<Uuid>,
    /// The KEK that is needed beside it to open a record.
    pub second_kek: Option<Uuid>,
    /// The KEK that opens a record when the first cannot be used or reached.
    pub standby_kek: Option<Uuid>,
    /// Days after enrolment in which a device without attestation may restore.
    pub unattested_days: Option<u32>,
    /// When it was made.
    pub created_at: i64,
    /// The verifier key of its log (C2SP signed-note): pin it, and hand it out with enrolment codes.
    pub vkey: String,
}

/// Asks for a one-time enrolment code.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCode {
    /// Whose device it will be.
    #[schema(pattern = r"^[A-Za-z0-9_@-][A-Za-z0-9._@-]{0,127}$")]
    pub user: String,
    /// Good for so long, 60 to 604,800; an hour when not given.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 604_800)]
    pub seconds: Option<u32>,
}

/// A one-time enrolment code, shown this once.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Code {
    /// Hand it to the user; it enrols one device.
    pub code: String,
    /// Whose device it will be.
    pub user: String,
    /// Until when it is good.
    pub expires_at: i64,
}

/// A device.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user: String,
    /// As it named itself.
    pub name: String,
    /// As it named it.
    pub platform: String,
    /// `active` or `revoked`.
    pub state: String,
    /// Whether its key is proven to live in hardware.
    pub attested: bool,
    /// When it enrolled.
    pub enrolled_at: i64,
}

/// A record, without its ciphertexts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user: String,
    /// For example `identity`.
    pub kind: String,
    /// Which of its kind.
    pub generation: u64,
    /// The device that backed it up.
    pub device: Uuid,
    /// The KEKs that it is wrapped under; none when it is shredded.
    pub keks: Vec<Uuid>,
    /// When it was wrapped.
    pub created_at: i64,
}

/// A restore.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Restore {
    /// Its id.
    pub id: Uuid,
    /// Whose records.
    pub user: String,
    /// The device that asked.
    pub device: Uuid,
    /// The records asked for.
    pub records: Vec<Uuid>,
    /// Why, in the device's words.
    pub reason: String,
    /// How far it is: `pending`, `approved`, `releasing`, `released`, `acknowledged`, `failed`, `expired`, `revoked`,
    /// `vetoed` or `rejected`. Of one that is open, as it was at the last change: what it waits for is in its approvals.
    pub state: String,
    /// No release before this time.
    pub not_before: i64,
    /// No release from this time on.
    pub expires_at: i64,
    /// When it last changed.
    pub changed_at: i64,
}

/// What to take away.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id", deny_unknown_fields)]
pub enum Target {
    /// Everything of the tenant.
    Tenant,
    /// A user with all devices.
    User(String),
    /// One device.
    Device(Uuid),
    /// One restore.
    Restore(Uuid),
    /// Every record under this KEK.
    Kek(Uuid),
}

/// Takes access away, for good.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// What.
    pub target: Target,
    /// Why; goes into the log.
    #[schema(min_length = 1, max_length = 512, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub reason: String,
}

/// Says why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Goes into the log.
    #[schema(min_length = 1, max_length = 512, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub reason: String,
}

/// What stood still goes on: a log, or restores.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Thawed {
    /// Of the event that says so.
    pub index: u64,
}

/// Access is gone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// Nothing of the target was or will be released after this time.
    pub effective_at: i64,
    /// Open restores that ended with it.
    pub restores_ended: u64,
}
