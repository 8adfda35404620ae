use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The text names no kind of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of event")]
pub struct UnknownKind(pub String);

/// Declares the kinds and their dotted names, each once.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $name:literal),* $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $variant),* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The dotted name, such as `restore.released`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(name: &str) -> Result<Self, UnknownKind> {
                match name { $($name => Ok(Self::$variant),)* unknown => Err(UnknownKind(unknown.to_owned())) }
            }
        }
    };
}

kinds! {
    /// The log begins; announces the event key. Always and only at index 0.
    LogOpened "log.opened",
    /// Nothing happened for a while, provably.
    LogHeartbeat "log.heartbeat",
    /// Announces another event key; signed by one already announced.
    LogKeyRotated "log.key_rotated",
    /// A frozen log takes events again: an administrator has decided which history is the true one.
    LogThawed "log.thawed",
    /// A tenant was revoked: nothing of it is served ever again. Its creation is `log.opened`.
    TenantRevoked "tenant.revoked",
    /// A tenant was suspended: nothing of it is served.
    TenantSuspended "tenant.suspended",
    /// A suspended tenant is served again.
    TenantResumed "tenant.resumed",
    /// A tenant's records are wrapped under other KEKs from now on.
    TenantProtectionChanged "tenant.protection_changed",
    /// A customer's KEK was registered.
    KekRegistered "kek.registered",
    /// A customer's own key is about to be handed to a provider: `kek.imported` or `admin.denied` follows, unless the broker
    /// died between.
    KekImportRequested "kek.import_requested",
    /// A customer's own key was brought to a provider; registering it as a KEK is another event.
    KekImported "kek.imported",
    /// A KEK has a new version.
    KekRotated "kek.rotated",
    /// A KEK was disabled: it opens nothing until it is enabled again.
    KekDisabled "kek.disabled",
    /// A disabled KEK is used again.
    KekEnabled "kek.enabled",
    /// A KEK was revoked: it never opens anything again.
    KekRevoked "kek.revoked",
    /// An administrator asks that what a KEK wrapped be destroyed; another has to confirm it.
    KekDestructionRequested "kek.destruction_requested",
    /// The destruction was taken back.
    KekDestructionCancelled "kek.destruction_cancelled",
    /// What a KEK wrapped was destroyed.
    KekDestroyed "kek.destroyed",
    /// A KEK has not opened its canary, twice in a row; the outcome says why.
    KekFailing "kek.failing",
    /// A failing KEK opens its canary again.
    KekRecovered "kek.recovered",
    /// A sample of records was opened, and nothing released; the outcome says whether all of them were.
    DrillCompleted "drill.completed",
    /// A user was created.
    UserCreated "user.created",
    /// A user was revoked, and with them their devices.
    UserRevoked "user.revoked",
    /// A user is told of their restores at another address, or at none.
    UserEmailChanged "user.email_changed",
    /// Others are directly above a user in the reporting line.
    UserManagersChanged "user.managers_changed",
    /// A user's clocks are in another time zone.
    UserTimeZoneChanged "user.time_zone_changed",
    /// A user is somebody else to the company's issuer, whose logins count for policies.
    UserSubjectChanged "user.subject_changed",
    /// A user's restores are locked: nothing is released to them, and nothing is lost.
    UserLocked "user.locked",
    /// A user's restores are unlocked.
    UserUnlocked "user.unlocked",
    /// All restores of the tenant are frozen: nothing is released, and nothing is lost.
    TenantFrozen "tenant.frozen",
    /// The tenant's restores go on.
    TenantThawed "tenant.thawed",
    /// A one-time enrolment code was made.
    EnrolmentCodeCreated "enrolment.code_created",
    /// An enrolment was refused.
    EnrolDenied "enrol.denied",
    /// A device was enrolled.
    DeviceEnrolled "device.enrolled",
    /// A pending device was approved.
    DeviceApproved "device.approved",
    /// A device was suspended.
    DeviceSuspended "device.suspended",
    /// A suspended device is served again.
    DeviceResumed "device.resumed",
    /// A device was revoked for good.
    DeviceRevoked "device.revoked",
    /// A record was wrapped and stored.
    RecordWrapped "record.wrapped",
    /// A record was wrapped again under another KEK version.
    RecordRewrapped "record.rewrapped",
    /// A record was not wrapped anew: it, or its tenant, has changed meanwhile.
    RewrapDenied "rewrap.denied",
    /// Records begin to be wrapped anew.
    RewrapStarted "rewrap.started",
    /// A rewrap waits; the outcome says why.
    RewrapPaused "rewrap.paused",
    /// A rewrap goes on.
    RewrapResumed "rewrap.resumed",
    /// A rewrap was given up.
    RewrapStopped "rewrap.stopped",
    /// Every record is under the KEKs that its tenant wants.
    RewrapCompleted "rewrap.completed",
    /// A record was deleted.
    RecordDeleted "record.deleted",
    /// A wrap was refused.
    WrapDenied "wrap.denied",
    /// A wrap failed at the provider.
    WrapFailed "wrap.failed",
    /// A restore was asked for.
    RestoreRequested "restore.requested",
    /// An approver approved a restore.
    RestoreApproved "restore.approved",
    /// An approver rejected a restore.
    RestoreRejected "restore.rejected",
    /// The gate was passed and the key is about to be unwrapped: exactly one outcome of the same `cor` follows.
    RestoreIntent "restore.intent",
    /// Outcome of an intent: the sealed key goes out.
    RestoreReleased "restore.released",
    /// A release was refused; concludes an open intent of the same `cor`.
    RestoreDenied "restore.denied",
    /// Outcome of an intent: the provider or the broker failed, nothing goes out.
    RestoreFailed "restore.failed",
    /// The sealed answer was fetched again; no key was unwrapped.
    RestoreFetched "restore.fetched",
    /// Another request for a restore under way or over was refused; concludes nothing.
    RestoreFetchDenied "restore.fetch_denied",
    /// The device confirmed that it has its key.
    RestoreAcknowledged "restore.acknowledged",
    /// A restore's time ran out.
    RestoreExpired "restore.expired",
    /// An open restore was revoked.
    RestoreRevoked "restore.revoked",
    /// The user stopped a restore before its release.
    RestoreVetoed "restore.vetoed",
    /// A notice was given up: nobody took it for a day, or its receiver never will; the outcome says why.
    NoticeFailed "notice.failed",
    /// A version of a tenant's policies was written; nobody has proposed it yet.
    PolicyDrafted "policy.drafted",
    /// A person wants a version of the policies in force; another has to agree.
    PolicyProposed "policy.proposed",
    /// Two people agreed on policies that may be weaker: they take effect later, unless somebody withdraws them.
    PolicyScheduled "policy.scheduled",
    /// Other policies are in force.
    PolicyChanged "policy.changed",
    /// A version of the policies will not take effect.
    PolicyWithdrawn "policy.withdrawn",
    /// An administrator's token was made.
    AdminTokenCreated "admin.token_created",
    /// An administrator's token was used.
    AdminTokenUsed "admin.token_used",
    /// An administrator's token was revoked.
    AdminTokenRevoked "admin.token_revoked",
    /// A person may administer, and was invited to make a passkey.
    AdminAppointed "admin.appointed",
    /// A person lost their passkeys and was invited anew.
    AdminInvited "admin.invited",
    /// A person who was invited made their first passkey.
    AdminJoined "admin.joined",
    /// A person administers with other roles.
    AdminRolesChanged "admin.roles_changed",
    /// A person does not administer any more.
    AdminRevoked "admin.revoked",
    /// A person signed in.
    AdminSignedIn "admin.signed_in",
    /// A break-glass key was used.
    AdminBrokeGlass "admin.broke_glass",
    /// A person made a further passkey.
    PasskeyAdded "admin.passkey_added",
    /// A person's passkey was removed.
    PasskeyRemoved "admin.passkey_removed",
    /// An administrator was refused.
    AdminDenied "admin.denied",
    /// Evidence was made for an auditor: for whom, which range, which fields.
    AuditExported "audit.exported",
    /// A sink stopped until an operator acts.
    SinkPaused "sink.paused",
    /// A sink delivers again.
    SinkResumed "sink.resumed",
    /// A sink refused an event for good; it is kept apart.
    SinkDeadLettered "sink.dead_lettered",
    /// Events have waited longer for a sink than they should.
    SinkLagging "sink.lagging",
    /// No event waits too long for the sink any more.
    SinkCaughtUp "sink.caught_up",
    /// An operator gave up a range of undelivered events.
    SinkGap "sink.gap",
    /// An operator had a range delivered again.
    SinkReplayed "sink.replayed",
    /// The broker noticed something suspicious; the outcome says what.
    FindingRaised "finding.raised",
    /// A person's disclosures were made unreadable for ever.
    SubjectErased "subject.erased",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_name_is_its_own() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
