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

/// Everything a policy may know of what a device asks for.
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
    /// When and from where it asks.
    pub circumstances: Circumstances<'a>,
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
    /// The ids of everybody above in the reporting line, in any order.
    pub managers: &'a [&'a str],
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
    /// The help desk made the code with which it was enrolled.
    pub enrolled_by_help_desk: bool,
    /// When it was enrolled, in Unix seconds.
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

/// When and from where somebody asks.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The time of the decision, in Unix seconds.
    pub now: i64,
    /// The same time on the user's clocks.
    pub local: LocalTime,
    /// Whether the request states a reason.
    pub reason_given: bool,
    /// Where the request comes from (ISO 3166-1 alpha-2, upper case); `None` where nobody knows.
    pub country: Option<&'a str>,
    /// Seconds since whoever asks last logged in at the company's single sign-on; `None` where nobody knows.
    pub login_age_seconds: Option<u32>,
}

impl Circumstances<'_> {
    /// At that time (Unix seconds) in UTC; nothing else is known.
    #[must_use]
    pub const fn at(now: i64) -> Self {
        Self { now, local: LocalTime::at(now, 0), reason_given: false, country: None, login_age_seconds: None }
    }
}

/// Day and time as clocks and calendars of a place show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    weekday: u8,
    minute_of_day: u16,
}

impl LocalTime {
    const MINUTES_OF_DAY: i64 = 24 * 60;

    /// At that time (Unix seconds) where clocks are `utc_offset_minutes` ahead of UTC.
    #[must_use]
    pub const fn at(now: i64, utc_offset_minutes: i16) -> Self {
        let minutes = now.div_euclid(60) + utc_offset_minutes as i64;
        let days_since_thursday = minutes.div_euclid(Self::MINUTES_OF_DAY); // 1 January 1970 was one.
        Self {
            weekday: ((days_since_thursday + 3).rem_euclid(7) + 1) as u8,
            minute_of_day: minutes.rem_euclid(Self::MINUTES_OF_DAY) as u16,
        }
    }

    /// 1 is Monday, 7 is Sunday (ISO 8601).
    #[must_use]
    pub const fn weekday(self) -> u8 {
        self.weekday
    }

    /// Minutes since midnight: 0 to 1439.
    #[must_use]
    pub const fn minute_of_day(self) -> u16 {
        self.minute_of_day
    }
}
