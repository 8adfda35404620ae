//! What a decision is about.

/// What a device asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// To become a device of the tenant. Decided on the tenant.
    Enrol,
    /// To store records. Decided on each record.
    Wrap,
    /// To get records back. Decided on each record.
    Restore,
}

/// Everything a policy may know. Times are Unix seconds.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The customer whose keys these are.
    pub tenant: TenantFacts<'a>,
    /// On whose behalf the device asks.
    pub user: UserFacts<'a>,
    /// The device that signed; at enrolment, the device as it would be, inactive where its key is revoked.
    pub device: DeviceFacts<'a>,
    /// What a wrap would store or a restore release; not looked at for an enrolment.
    pub records: &'a [RecordFacts<'a>],
    /// The time of the decision.
    pub now: i64,
    /// Whether the request states a reason.
    pub reason_given: bool,
}

/// A tenant.
#[derive(Debug, Clone, Copy)]
pub struct TenantFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// For how many days from enrolment an unattested device may restore; `None`: never.
    pub allows_unattested_days: Option<u32>,
}

/// A user.
#[derive(Debug, Clone, Copy)]
pub struct UserFacts<'a> {
    /// Its id, unique within the tenant.
    pub id: &'a str,
    /// Neither suspended nor revoked.
    pub active: bool,
}

/// A device.
#[derive(Debug, Clone, Copy)]
pub struct DeviceFacts<'a> {
    /// Its id.
    pub id: &'a str,
    /// The id of the user it is enrolled for.
    pub user: &'a str,
    /// Neither pending, suspended nor revoked.
    pub active: bool,
    /// Its key was proven to be in hardware.
    pub attested: bool,
    /// When it was enrolled.
    pub enrolled_at: i64,
}

/// A record.
#[derive(Debug, Clone, Copy)]
pub struct RecordFacts<'a> {
    /// The id of the user it belongs to.
    pub owner: &'a str,
    /// What it holds, for example `identity`.
    pub kind: &'a str,
    /// Which backup of that kind; a number above `i64::MAX` has no place in Cedar and is refused.
    pub generation: u64,
    /// No later generation exists.
    pub newest: bool,
}
