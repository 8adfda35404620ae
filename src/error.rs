//! What an operation answers instead of success. `http/problem.rs` gives each a status; nothing else does.

use crate::commit::CommitError;
use crate::rulebook::RulesError;
use crate::store::{StoreError, stored_words};
use std::time::Duration;

stored_words! {
    /// Why the gate or a rule said no. Each is the `out` of an event and the `code` of a problem document.
    Refusal {
        /// The tenant is unknown or revoked.
        TenantInactive = "tenant_inactive",
        /// The user is unknown or revoked.
        UserInactive = "user_inactive",
        /// The device is unknown, foreign or revoked.
        DeviceInactive = "device_inactive",
        /// The KEK is not active, or not of this tenant.
        KekInactive = "kek_inactive",
        /// The KEK is not disabled, so there is nothing to enable.
        KekNotDisabled = "kek_not_disabled",
        /// The key is registered already.
        KekTaken = "kek_taken",
        /// The key seals the broker's own keys.
        KekReserved = "kek_reserved",
        /// The provider serves other tenants only.
        ProviderReserved = "provider_reserved",
        /// The vendor shows no other version of the KEK than before.
        NothingToRotate = "nothing_to_rotate",
        /// The destruction was confirmed or cancelled, or its day has passed.
        DestructionOver = "destruction_over",
        /// Who asked for the destruction may not confirm it too.
        SecondAdministratorNeeded = "second_administrator_needed",
        /// Other records would be lost than the administrators know of.
        CountChanged = "count_changed",
        /// The tenant has no KEK yet.
        KekMissing = "kek_missing",
        /// The tenant's KEKs changed while the record was being wrapped.
        ProtectionChanged = "protection_changed",
        /// Another has wrapped the record anew.
        RecordRewrapped = "record_rewrapped",
        /// A rewrap of the tenant is not over yet.
        RewrapOpen = "rewrap_open",
        /// The rewrap is not in a state for that.
        RewrapOver = "rewrap_over",
        /// Records are left that are not under the tenant's KEKs.
        RewrapIncomplete = "rewrap_incomplete",
        /// What would open the record was destroyed.
        RecordShredded = "record_shredded",
        /// The enrolment code is unknown, used or expired.
        CodeInvalid = "enrolment_code_invalid",
        /// This device key enrolled before.
        DeviceKnown = "device_known",
        /// The generation is not one more than the newest.
        StaleGeneration = "stale_generation",
        /// The record id is taken by another backup.
        RecordTaken = "record_taken",
        /// The record is unknown or another user's.
        RecordUnknown = "record_unknown",
        /// The sealed value does not open, or holds another context.
        SealedInvalid = "sealed_invalid",
        /// The ingress key is unknown or no longer accepted.
        StaleIngress = "stale_ingress",
        /// The restore is unknown or another device's.
        RestoreUnknown = "restore_unknown",
        /// The restore still waits for people or time.
        RestorePending = "restore_pending",
        /// Another request is releasing it right now.
        RestoreInProgress = "restore_in_progress",
        /// It was acknowledged, failed, revoked or ran out.
        RestoreOver = "restore_over",
        /// It was released: it can no longer be stopped.
        RestoreReleased = "restore_released",
        /// Nobody approves for themselves, and no device for itself.
        OwnRestore = "own_restore",
        /// Who approves has done so already, and counts once.
        AlreadyApproved = "already_approved",
        /// The match code is not the one that the device that asks shows.
        MatchCodeWrong = "match_code_wrong",
        /// Too many wrong match codes: devices approve this restore no more.
        MatchCodesSpent = "match_codes_spent",
        /// Nothing was released yet that could be acknowledged.
        RestoreNotReleased = "restore_not_released",
        /// The transcript is not this restore's.
        TranscriptMismatch = "transcript_mismatch",
        /// The login that the device shows is not one of its user for this restore.
        LoginInvalid = "login_invalid",
        /// The user has asked for as many restores as they may, or has as many that are not over.
        QuotaSpent = "quota_spent",
        /// The user's restores are locked until an administrator unlocks them.
        UserLocked = "user_locked",
        /// All restores of the tenant are frozen until an administrator thaws them.
        TenantFrozen = "tenant_frozen",
        /// There is no lock to take away.
        NotLocked = "not_locked",
        /// A policy forbids it, or none permits it.
        PolicyDenied = "policy_denied",
        /// The policy changed since it was asked under.
        PolicyChanged = "policy_changed",
        /// The log does not tell of the policies that the database names: nobody can say which are in force.
        PolicyUnsound = "policy_unsound",
        /// The version of the policies, or what is in force, is not what it was when it was looked at.
        PolicyVersionChanged = "policy_version_changed",
        /// The version of the policies is not in a state for that.
        PolicyVersionOver = "policy_version_over",
        /// The policies in force have replaced none.
        NothingToRollBack = "nothing_to_roll_back",
        /// The nonce was used before.
        NonceSpent = "nonce_spent",
        /// The provider takes in no keys that were made elsewhere.
        ImportUnsupported = "import_unsupported",
        /// The material does not open at the provider, or is no AES-256 key.
        MaterialInvalid = "material_invalid",
        /// The person still has access: it must be revoked before they can be erased.
        UserNotRevoked = "user_not_revoked",
        /// The person was erased already.
        SubjectErased = "subject_erased",
        /// The caller's roles, or the token's scope, do not hold that.
        NotAllowed = "not_allowed",
        /// Only a person with a session may do that.
        PersonNeeded = "person_needed",
        /// The request is not signed with a passkey as it must be.
        PasskeyNeeded = "passkey_required",
        /// The passkey has signed elsewhere: it exists twice.
        PasskeyCloned = "passkey_cloned",
        /// The last passkey of a person, who would be locked out.
        LastPasskey = "last_passkey",
        /// What the browser made is no passkey that may be kept.
        PasskeyRefused = "passkey_refused",
        /// The ceremony was finished, given up, or too slow.
        CeremonyOver = "ceremony_over",
        /// The invitation is unknown, used or expired.
        InvitationInvalid = "invitation_invalid",
        /// Another has changed the administrator meanwhile.
        AdminChanged = "admin_changed",
        /// Another has changed what is known of the user meanwhile.
        UserChanged = "user_changed",
        /// The installation would have no owner any more.
        LastOwner = "last_owner",
        /// The issuer's answer does not hold, or it is nobody who administers.
        SignOnRefused = "sign_on_refused",
        /// The issuer gives no usable answer.
        IssuerUnavailable = "issuer_unavailable",
        /// It is no logout token, or one that was used.
        LogoutRefused = "logout_refused",
        /// The request comes from another site's page.
        CrossSite = "cross_site",
        /// The sink is not stopped, so there is nothing to resume.
        SinkRunning = "sink_running",
        /// The log takes events already.
        LogNotFrozen = "log_not_frozen",
        /// The id is taken.
        Taken = "taken",
        /// There is no such thing of this tenant.
        Unknown = "unknown",
    }
}

impl Refusal {
    /// Whether the refusal becomes a leaf. A spent nonce does not: replaying one captured request must not grow the log.
    #[must_use]
    pub fn is_recorded(self) -> bool {
        !matches!(self, Self::NonceSpent)
    }
}

/// What an operation answers instead of success.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not what its route takes.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The body is not a signed request.
    #[error("the request is not signed as it must be")]
    Jws(#[from] protocol::jws::JwsError),
    /// The payload is not what its route takes.
    #[error("the payload is malformed")]
    Payload(#[from] protocol::encoding::Malformed),
    /// The signature is good, but made for another URL.
    #[error("the request was signed for another URL")]
    UrlMismatch,
    /// There is no such route or thing.
    #[error("there is no such thing")]
    NotFound,
    /// Nobody was proven; says nothing about why.
    #[error("the caller is not proven")]
    Unproven,
    /// The nonce is not one of ours, or too old.
    #[error("the nonce is not acceptable")]
    BadNonce,
    /// The gate, a policy or a rule said no; recorded.
    #[error("refused: {}", .0.as_str())]
    Refused(Refusal),
    /// The text is none of policies that could be in force.
    #[error("the policies cannot be read")]
    PolicyText(#[from] Box<policies::PolicyError>),
    /// [`Refusal::CountChanged`], with the count as it is now; recorded.
    #[error("refused: {lost} records would be lost now")]
    CountChanged {
        /// Records that nothing could open any more.
        lost: u64,
    },
    /// Too many requests.
    #[error("too many requests")]
    RateLimited {
        /// When to come back.
        retry_after: Duration,
    },
    /// The customer's KMS or HSM did not do it; recorded.
    #[error("the key provider failed")]
    Provider(#[from] providers::Error),
    /// A KEK cannot be used: each call that it needs, with what became of it; recorded.
    #[error("the KEK was tried")]
    Unfit(#[from] Box<crate::kms::probe::Unfit>),
    /// The database could not be read.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// The state change and its leaf could not be made durable.
    #[error("the log could not be written")]
    Commit(#[from] CommitError),
    /// The broker's own keys are not what they should be.
    #[error("the broker's own keys are unusable")]
    Keys(#[from] crate::keys::KeyError),
    /// Too few witnesses have seen the intent in time: nothing was unwrapped.
    #[error("witnesses have not cosigned the log in time")]
    WitnessUnavailable,
    /// The disk is nearly full: restores stop before the log must.
    #[error("the disk is nearly full")]
    DiskLow,
    /// The operation was cut off from inside.
    #[error("the operation was interrupted")]
    Interrupted,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<RulesError> for Error {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Store(error) => error.into(),
            RulesError::Unlogged | RulesError::Leaf(_) | RulesError::Text(_) | RulesError::Keys(_) => {
                Refusal::PolicyUnsound.into()
            }
        }
    }
}
