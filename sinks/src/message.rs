use audit::Origin;
use audit::event::{Event, Kind, Outcome};

/// Something on its way to a receiver, written down in the sink's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `<origin>#<index>` of an event, `<origin>@<size>` of a checkpoint: the same over retries and replays, so that
    /// receivers can remove duplicates by it.
    pub id: String,
    /// The log; its last part is the tenant.
    pub origin: Origin,
    /// What it is, and where in the log.
    pub place: Place,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// The event's dotted name; `log.checkpoint` or `sink.test` for what is no event.
    pub name: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// One line without newline; UTF-8.
    pub body: Vec<u8>,
}

/// What a message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The event at this index.
    Event(u64),
    /// The log's first so many events.
    Checkpoint(u64),
    /// Nothing: an operator asked whether messages arrive.
    Test,
}

/// How urgent an event is for whoever watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// All is as it should be.
    Informational,
    /// Worth to be seen in the end: somebody was refused.
    Low,
    /// Somebody should look today.
    Medium,
    /// Somebody should look now.
    High,
}

impl Severity {
    /// By what happened and with which outcome.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        match event.kind {
            Kind::FindingRaised | Kind::SinkGap | Kind::KekDestroyed | Kind::TenantRevoked => Self::High,
            Kind::KekFailing
            | Kind::KekRevoked
            | Kind::KekDisabled
            | Kind::KekDestructionRequested
            | Kind::SinkPaused
            | Kind::SinkDeadLettered
            | Kind::DeviceRevoked
            | Kind::UserRevoked
            | Kind::TenantSuspended
            | Kind::TenantProtectionChanged
            | Kind::PolicyChanged
            | Kind::SubjectErased => Self::Medium,
            _ if event.outcome != Outcome::OK => Self::Low,
            _ => Self::Informational,
        }
    }
}
