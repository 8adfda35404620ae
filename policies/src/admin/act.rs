//! Everything that an administrator can do, by name.

use super::words::words;

words! {
    /// What a route of the admin API needs, and a scope of an API token: what it is done to, a colon, and what is done.
    /// The words are stable.
    enum Act else UnknownAct = "there is no such act";
    /// See the tenants and their settings.
    TenantsRead = "tenants:read",
    /// Create tenants and change their settings.
    TenantsWrite = "tenants:write",
    /// See users.
    UsersRead = "users:read",
    /// Create users, and change what is known of them: whom policies let approve for them, and when, may depend on it.
    UsersWrite = "users:write",
    /// Make one-time codes with which users enrol devices.
    CodesWrite = "codes:write",
    /// See devices.
    DevicesRead = "devices:read",
    /// See which records are stored; never what is in them.
    RecordsRead = "records:read",
    /// See restores, and what they wait for.
    RestoresRead = "restores:read",
    /// Approve or deny a restore.
    RestoresApprove = "restores:approve",
    /// Lock a user's restores, or freeze all of a tenant's.
    RestoresLock = "restores:lock",
    /// Let restores go on that are locked or frozen.
    RestoresUnlock = "restores:unlock",
    /// Revoke users and devices, and end their restores.
    AccessRevoke = "access:revoke",
    /// See KEKs and their health.
    KeksRead = "keks:read",
    /// Register, probe, import, rotate, enable and disable KEKs, and choose which of them wrap.
    KeksWrite = "keks:write",
    /// Order, confirm or cancel that what a KEK wrapped is lost for good.
    KeksDestroy = "keks:destroy",
    /// See how far rewraps are.
    RewrapsRead = "rewraps:read",
    /// Start, pause and stop rewraps.
    RewrapsWrite = "rewraps:write",
    /// Open samples of records to see that they still can be.
    DrillsRun = "drills:run",
    /// See sinks, their lag and their dead letters.
    SinksRead = "sinks:read",
    /// Pause, resume, test and replay sinks, and redeliver or give up what they did not take.
    SinksWrite = "sinks:write",
    /// See findings, and try their rules on the past.
    FindingsRead = "findings:read",
    /// Read the audit log.
    LogRead = "log:read",
    /// Export a part of the log as evidence, with disclosed fields.
    LogExport = "log:export",
    /// Let a frozen log go on.
    LogThaw = "log:thaw",
    /// Erase a person from the log for good.
    SubjectsErase = "subjects:erase",
    /// See policies and their versions.
    PoliciesRead = "policies:read",
    /// Edit drafts of policies and try them on the past.
    PoliciesWrite = "policies:write",
    /// Propose a draft to be activated by somebody else.
    PoliciesPropose = "policies:propose",
    /// Activate what somebody else proposed, or roll back.
    PoliciesActivate = "policies:activate",
    /// See administrators, their roles and passkeys.
    AdminsRead = "admins:read",
    /// Invite administrators, give and take roles, remove passkeys.
    AdminsWrite = "admins:write",
    /// See API tokens; never what they are.
    TokensRead = "tokens:read",
    /// Make and revoke API tokens.
    TokensWrite = "tokens:write",
    /// See the sessions of other administrators.
    SessionsRead = "sessions:read",
    /// End sessions of other administrators.
    SessionsEnd = "sessions:end",
}

impl Act {
    /// Whether a person must sign the act with a passkey, each time.
    #[must_use]
    pub const fn needs_passkey(self) -> bool {
        self.is_for_people() || matches!(self, Self::TenantsWrite | Self::UsersWrite | Self::AccessRevoke)
    }

    /// Whether only a person may do it, and never an API token, whatever its scopes: what decides over keys, over who
    /// decides, or cannot be undone. Creating tenants and revoking access are left to automation too.
    #[must_use]
    pub const fn is_for_people(self) -> bool {
        matches!(
            self,
            Self::RestoresApprove
                | Self::RestoresUnlock
                | Self::KeksDestroy
                | Self::LogThaw
                | Self::SubjectsErase
                | Self::PoliciesPropose
                | Self::PoliciesActivate
                | Self::AdminsWrite
                | Self::TokensWrite
        )
    }

    /// Whether it changes nothing but the log.
    #[must_use]
    pub fn reads_only(self) -> bool {
        self == Self::LogExport || self.as_str().ends_with(":read")
    }
}
