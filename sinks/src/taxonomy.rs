use crate::Severity;
use audit::event::Kind;

/// What an event means to who watches: the one table from which formats take their classes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taxonomy {
    pub(crate) object: Object,
    pub(crate) action: Action,
    /// How urgent it is when all went well.
    pub(crate) severity: Severity,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Log,
    Tenant,
    Kek,
    Policy,
    User,
    Device,
    EnrolmentCode,
    Token,
    Record,
    Restore,
    Rewrap,
    Finding,
}

/// What was done to it, or was to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Read,
    Update,
    Delete,
    Enable,
    Disable,
    Activate,
    Deactivate,
    Suspend,
    Resume,
    Enroll,
    Unenroll,
    Start,
    Export,
    /// Nothing: the event tells of a state.
    Report,
}

impl Taxonomy {
    #[expect(clippy::too_many_lines, reason = "a table of one row a kind")]
    pub(crate) fn of(kind: Kind) -> Self {
        let (object, action, severity) = match kind {
            Kind::LogOpened => (Object::Log, Action::Start, Severity::Informational),
            Kind::LogHeartbeat => (Object::Log, Action::Report, Severity::Informational),
            Kind::LogKeyRotated => (Object::Log, Action::Update, Severity::Informational),
            Kind::LogThawed => (Object::Log, Action::Enable, Severity::High),
            Kind::AuditExported => (Object::Log, Action::Export, Severity::Low),
            Kind::TenantRevoked => (Object::Tenant, Action::Deactivate, Severity::High),
            Kind::TenantSuspended => (Object::Tenant, Action::Suspend, Severity::Medium),
            Kind::TenantResumed => (Object::Tenant, Action::Resume, Severity::Informational),
            Kind::TenantFrozen => (Object::Tenant, Action::Suspend, Severity::High),
            Kind::TenantThawed => (Object::Tenant, Action::Resume, Severity::Medium),
            Kind::TenantProtectionChanged => (Object::Tenant, Action::Update, Severity::Medium),
            Kind::KekRegistered => (Object::Kek, Action::Create, Severity::Informational),
            Kind::KekImportRequested => (Object::Kek, Action::Create, Severity::Informational),
            Kind::KekImported => (Object::Kek, Action::Create, Severity::Informational),
            Kind::KekRotated => (Object::Kek, Action::Update, Severity::Informational),
            Kind::KekDisabled => (Object::Kek, Action::Disable, Severity::Medium),
            Kind::KekEnabled => (Object::Kek, Action::Enable, Severity::Informational),
            Kind::KekRevoked => (Object::Kek, Action::Deactivate, Severity::Medium),
            Kind::KekDestructionRequested => (Object::Kek, Action::Update, Severity::Medium),
            Kind::KekDestructionCancelled => (Object::Kek, Action::Update, Severity::Informational),
            Kind::KekDestroyed => (Object::Kek, Action::Delete, Severity::High),
            Kind::KekFailing => (Object::Kek, Action::Report, Severity::Medium),
            Kind::KekRecovered => (Object::Kek, Action::Report, Severity::Informational),
            Kind::DrillCompleted => (Object::Record, Action::Read, Severity::Informational),
            Kind::UserCreated => (Object::User, Action::Create, Severity::Informational),
            Kind::UserRevoked => (Object::User, Action::Disable, Severity::Medium),
            Kind::UserEmailChanged
            | Kind::UserManagersChanged
            | Kind::UserTimeZoneChanged
            | Kind::UserSubjectChanged => (Object::User, Action::Update, Severity::Low),
            Kind::UserLocked => (Object::User, Action::Suspend, Severity::High),
            Kind::UserUnlocked => (Object::User, Action::Resume, Severity::Medium),
            Kind::SubjectErased => (Object::User, Action::Delete, Severity::Medium),
            Kind::EnrolmentCodeCreated => (Object::EnrolmentCode, Action::Create, Severity::Informational),
            Kind::EnrolDenied => (Object::Device, Action::Enroll, Severity::Low),
            Kind::DeviceEnrolled => (Object::Device, Action::Enroll, Severity::Informational),
            Kind::DeviceApproved => (Object::Device, Action::Activate, Severity::Informational),
            Kind::DeviceSuspended => (Object::Device, Action::Suspend, Severity::Low),
            Kind::DeviceResumed => (Object::Device, Action::Resume, Severity::Informational),
            Kind::DeviceRevoked => (Object::Device, Action::Unenroll, Severity::Medium),
            Kind::RecordWrapped => (Object::Record, Action::Create, Severity::Informational),
            Kind::RecordRewrapped => (Object::Record, Action::Update, Severity::Informational),
            Kind::RecordDeleted => (Object::Record, Action::Delete, Severity::Informational),
            Kind::WrapDenied => (Object::Record, Action::Create, Severity::Low),
            Kind::WrapFailed => (Object::Record, Action::Create, Severity::Low),
            Kind::RewrapDenied => (Object::Record, Action::Update, Severity::Low),
            Kind::RewrapStarted => (Object::Rewrap, Action::Create, Severity::Informational),
            Kind::RewrapPaused => (Object::Rewrap, Action::Update, Severity::Low),
            Kind::RewrapResumed => (Object::Rewrap, Action::Update, Severity::Informational),
            Kind::RewrapStopped => (Object::Rewrap, Action::Update, Severity::Low),
            Kind::RewrapCompleted => (Object::Rewrap, Action::Update, Severity::Informational),
            Kind::RestoreRequested => (Object::Restore, Action::Create, Severity::Informational),
            Kind::RestoreApproved => (Object::Restore, Action::Update, Severity::Informational),
            Kind::RestoreRejected => (Object::Restore, Action::Update, Severity::Low),
            Kind::RestoreIntent => (Object::Restore, Action::Read, Severity::Informational),
            Kind::RestoreReleased => (Object::Restore, Action::Read, Severity::Informational),
            Kind::RestoreDenied => (Object::Restore, Action::Read, Severity::Low),
            Kind::RestoreFailed => (Object::Restore, Action::Read, Severity::Low),
            Kind::RestoreFetched => (Object::Restore, Action::Read, Severity::Informational),
            Kind::RestoreFetchDenied => (Object::Restore, Action::Read, Severity::Low),
            Kind::RestoreAcknowledged => (Object::Restore, Action::Update, Severity::Informational),
            Kind::RestoreExpired => (Object::Restore, Action::Update, Severity::Informational),
            Kind::RestoreRevoked => (Object::Restore, Action::Update, Severity::Low),
            Kind::RestoreVetoed => (Object::Restore, Action::Update, Severity::High),
            Kind::NoticeFailed => (Object::Log, Action::Report, Severity::Medium),
            Kind::PolicyDrafted => (Object::Policy, Action::Create, Severity::Informational),
            Kind::PolicyProposed => (Object::Policy, Action::Update, Severity::Low),
            Kind::PolicyScheduled => (Object::Policy, Action::Update, Severity::High),
            Kind::PolicyChanged => (Object::Policy, Action::Update, Severity::Medium),
            Kind::PolicyWithdrawn => (Object::Policy, Action::Update, Severity::Low),
            Kind::AdminTokenCreated => (Object::Token, Action::Create, Severity::Low),
            Kind::AdminTokenUsed => (Object::Token, Action::Read, Severity::Informational),
            Kind::AdminTokenRevoked => (Object::Token, Action::Delete, Severity::Low),
            Kind::AdminAppointed => (Object::User, Action::Create, Severity::Medium),
            Kind::AdminInvited => (Object::User, Action::Update, Severity::Medium),
            Kind::AdminJoined => (Object::User, Action::Activate, Severity::Medium),
            Kind::AdminRolesChanged => (Object::User, Action::Update, Severity::High),
            Kind::AdminRevoked => (Object::User, Action::Deactivate, Severity::Medium),
            Kind::AdminSignedIn => (Object::Token, Action::Read, Severity::Informational),
            Kind::AdminBrokeGlass => (Object::Token, Action::Read, Severity::High),
            Kind::PasskeyAdded => (Object::Token, Action::Create, Severity::Low),
            Kind::PasskeyRemoved => (Object::Token, Action::Delete, Severity::Low),
            Kind::AdminDenied => (Object::Token, Action::Read, Severity::Low),
            Kind::SinkPaused => (Object::Log, Action::Disable, Severity::Medium),
            Kind::SinkResumed => (Object::Log, Action::Enable, Severity::Informational),
            Kind::SinkDeadLettered => (Object::Log, Action::Report, Severity::Medium),
            Kind::SinkGap => (Object::Log, Action::Report, Severity::High),
            Kind::SinkReplayed => (Object::Log, Action::Export, Severity::Informational),
            Kind::SinkLagging => (Object::Log, Action::Report, Severity::Medium),
            Kind::SinkCaughtUp => (Object::Log, Action::Report, Severity::Informational),
            Kind::FindingRaised => (Object::Finding, Action::Create, Severity::High),
        };
        Self { object, action, severity }
    }
}
