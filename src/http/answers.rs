//! Which problems each route may answer, for the OpenAPI document. What is a route's own is listed here; the rest follows
//! from what the route takes. Statuses and titles come from the one map of errors.

use super::authorisation::Demand;
use super::problem::describe;
use crate::commit::CommitError;
use crate::error::{Error, Refusal};
use crate::store::StoreError;
use protocol::jws::{CONTENT_TYPE, JwsError};
use protocol::messages::Problem;
use providers::{Error as ProviderError, Unusable};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// The refusals that are a route's own, by the id of its operation.
const OWN: &[(&str, &[Refusal])] = {
    use Refusal::{
        AdminChanged, AlreadyApproved, CeremonyOver, CodeInvalid, CountChanged, DestructionOver, DeviceKnown,
        ImportUnsupported, InvitationInvalid, IssuerUnavailable, KekInactive, KekMissing, KekNotDisabled, KekReserved,
        KekTaken, LastOwner, LastPasskey, LogNotFrozen, LoginInvalid, LogoutRefused, MatchCodeWrong, MatchCodesSpent,
        MaterialInvalid, NotAllowed, NotLocked, NothingToRollBack, NothingToRotate, OwnRestore, PasskeyCloned,
        PasskeyRefused, PersonNeeded, PolicyChanged, PolicyDenied, PolicyVersionChanged, PolicyVersionOver,
        ProtectionChanged, ProviderReserved, QuotaSpent, RecordShredded, RecordTaken, RecordUnknown, RestoreInProgress,
        RestoreNotReleased, RestoreOver, RestorePending, RestoreReleased, RestoreUnknown, RewrapOpen, RewrapOver,
        SealedInvalid, SecondAdministratorNeeded, SignOnRefused, SinkRunning, StaleGeneration, StaleIngress,
        SubjectErased, Taken, TenantFrozen, TranscriptMismatch, Unknown, UserChanged, UserInactive, UserLocked,
        UserNotRevoked,
    };
    &[
        ("admin_cancel_destruction", &[DestructionOver]),
        ("admin_confirm_destruction", &[DestructionOver, SecondAdministratorNeeded, CountChanged]),
        (
            "admin_decide",
            &[
                OwnRestore,
                AlreadyApproved,
                PolicyDenied,
                AdminChanged,
                TranscriptMismatch,
                RestoreReleased,
                RestoreOver,
            ],
        ),
        ("admin_approvals", &[TranscriptMismatch]),
        ("admin_create_code", &[UserInactive]),
        ("admin_create_tenant", &[Taken]),
        ("admin_create_user", &[Taken]),
        ("admin_disable", &[KekInactive]),
        ("admin_enable", &[KekNotDisabled]),
        ("admin_erase_user", &[UserNotRevoked, SubjectErased, Unknown]),
        ("admin_import", &[ImportUnsupported, MaterialInvalid, KekTaken, KekReserved, ProviderReserved]),
        ("admin_parameters", &[ImportUnsupported, KekTaken, KekReserved, ProviderReserved]),
        ("admin_probe", &[KekTaken, KekReserved, ProviderReserved]),
        ("admin_progress", &[KekMissing]),
        ("admin_protect", &[KekInactive, Unknown]),
        ("admin_register", &[KekTaken, KekReserved, ProviderReserved]),
        ("admin_request_destruction", &[KekInactive, CountChanged]),
        ("admin_resume_sink", &[SinkRunning]),
        ("admin_revoke", &[SubjectErased, Unknown]),
        ("admin_rotate", &[KekInactive, NothingToRotate]),
        ("admin_set_email", &[UserInactive, UserChanged]),
        ("admin_set_managers", &[UserInactive, UserChanged]),
        ("admin_set_subject", &[UserInactive, UserChanged]),
        ("admin_set_time_zone", &[UserInactive, UserChanged]),
        ("admin_start", &[RewrapOpen, KekMissing, KekInactive]),
        ("admin_step", &[RewrapOver, KekMissing, Unknown]),
        ("devices_enrol", &[CodeInvalid, DeviceKnown, PolicyDenied]),
        ("locks_lock", &[Unknown]),
        ("locks_unlock", &[NotLocked]),
        ("log_thaw", &[LogNotFrozen]),
        ("people_appoint", &[Taken]),
        ("people_assign_roles", &[LastOwner, AdminChanged]),
        ("people_invite_again", &[LastOwner, AdminChanged]),
        ("people_revoke_admin", &[LastOwner, AdminChanged]),
        ("people_revoke_token", &[Unknown]),
        ("policies_activate", &[PolicyVersionOver, PolicyVersionChanged, SecondAdministratorNeeded]),
        ("policies_draft", &[PolicyVersionChanged]),
        ("policies_propose", &[PolicyVersionOver, PolicyVersionChanged]),
        ("policies_roll_back", &[NothingToRollBack, PolicyVersionChanged]),
        ("policies_withdraw", &[PolicyVersionOver, PolicyVersionChanged]),
        (
            "records_wrap",
            &[
                PolicyDenied,
                KekMissing,
                KekInactive,
                ProtectionChanged,
                StaleIngress,
                SealedInvalid,
                RecordTaken,
                StaleGeneration,
            ],
        ),
        ("restores_acknowledge", &[RestoreUnknown, TranscriptMismatch, RestoreNotReleased, RestoreOver]),
        (
            "restores_approve",
            &[
                RestoreUnknown,
                TranscriptMismatch,
                OwnRestore,
                AlreadyApproved,
                MatchCodeWrong,
                MatchCodesSpent,
                PolicyDenied,
                RestoreReleased,
                RestoreOver,
            ],
        ),
        (
            "restores_open",
            &[PolicyDenied, RecordUnknown, LoginInvalid, IssuerUnavailable, QuotaSpent, UserLocked, TenantFrozen],
        ),
        (
            "restores_release",
            &[
                RestoreUnknown,
                TranscriptMismatch,
                RestorePending,
                RestoreInProgress,
                RestoreOver,
                RecordShredded,
                PolicyDenied,
                PolicyChanged,
                UserLocked,
                TenantFrozen,
                KekInactive,
            ],
        ),
        ("restores_status", &[RestoreUnknown, TranscriptMismatch]),
        ("restores_veto", &[RestoreUnknown, RestoreReleased, RestoreOver]),
        ("sessions_back_channel_logout", &[IssuerUnavailable, LogoutRefused]),
        ("sessions_begin_act", &[PersonNeeded, NotAllowed, PasskeyRefused, TranscriptMismatch]),
        ("sessions_begin_join", &[InvitationInvalid]),
        ("sessions_begin_sign_on", &[IssuerUnavailable]),
        ("sessions_begin_passkey", &[PersonNeeded, PasskeyRefused]),
        ("sessions_end_session", &[PersonNeeded]),
        ("sessions_finish_join", &[InvitationInvalid, CeremonyOver, PasskeyRefused, AdminChanged, Taken]),
        ("sessions_finish_passkey", &[PersonNeeded, CeremonyOver, PasskeyRefused, AdminChanged]),
        ("sessions_finish_sign_in", &[PasskeyCloned]),
        ("sessions_finish_sign_on", &[CeremonyOver, SignOnRefused, IssuerUnavailable]),
        ("sessions_remove_passkey", &[PersonNeeded, LastPasskey, AdminChanged]),
        ("sessions_session", &[PersonNeeded]),
        ("sessions_sessions", &[PersonNeeded]),
        ("sessions_sign_out", &[PersonNeeded]),
    ]
};

/// The operations whose body names what may not be there: another operation, a tenant.
const NAME_THINGS: &[&str] = &["sessions_begin_act", "sessions_begin_sign_on"];

/// The operations that policies decide on, or that look at those in force.
const ASK_POLICIES: &[&str] = &[
    "admin_export",
    "devices_enrol",
    "devices_status",
    "policies_activate",
    "policies_dry_run",
    "policies_in_force",
    "policies_propose",
    "policies_roll_back",
    "policies_validate",
    "records_wrap",
    "restores_open",
    "restores_release",
];

/// The operations that read a text of policies.
const READ_POLICIES: &[&str] =
    &["policies_activate", "policies_draft", "policies_dry_run", "policies_propose", "policies_roll_back"];

/// The operations that wait for the customer's KMS or HSM.
const ASK_A_PROVIDER: &[&str] =
    &["admin_import", "admin_parameters", "admin_register", "admin_rotate", "records_wrap", "restores_release"];

/// The operations that stop while the disk is nearly full.
const NEED_ROOM: &[&str] = &["operations_readyz", "records_wrap", "restores_open", "restores_release"];

/// The operations that wait for witnesses, where a release requires them.
const NEED_WITNESSES: &[&str] = &["restores_release"];

/// The pages for visitors without a login, and what of them changes something.
const FOR_VISITORS: (&[&str], &[&str]) = (&["veto_page", "veto_stop"], &["veto_stop"]);

/// Every answer of an operation that is a problem, by its status.
pub(super) fn problems((method, path): (&str, &str), operation: &Operation) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, BTreeMap<&str, &str>> = BTreeMap::new();
    for (status, code, title) in errors((method, path), operation).iter().map(describe) {
        by_status.entry(status.as_str().to_owned()).or_default().insert(code, title);
    }
    by_status.into_iter().map(|(status, titles)| (status, response(&titles).into())).collect()
}

fn response(titles: &BTreeMap<&str, &str>) -> Response {
    let lines: Vec<_> = titles.iter().map(|(code, title)| format!("- `{code}`: {title}")).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(lines.join("\n")).content(Problem::CONTENT_TYPE, content).build()
}

/// An error for each code that the operation may answer.
fn errors((method, path): (&str, &str), operation: &Operation) -> Vec<Error> {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let own = OWN.iter().filter(|(of, _)| *of == id).flat_map(|(_, refusals)| refusals.iter());
    let mut errors: Vec<Error> = own.map(|refusal| Error::Refused(*refusal)).collect();
    let is_open = !path.starts_with("/v1/") || path == "/v1/nonce";
    if !is_open {
        errors.extend(of_input(operation));
        errors.extend([Error::Unproven, Error::RateLimited { retry_after: Duration::ZERO }, storage()]);
    }
    if !is_open && method == "post" {
        errors.extend([Error::Interrupted, CommitError::LogFrozen { tenant: String::new() }.into()]);
    }
    if operation.security.is_some() {
        errors.extend(of_demand(method, operation).into_iter().map(Error::Refused));
    }
    if !is_open && method == "post" && path.contains("{tenant}") {
        errors.push(Refusal::TenantInactive.into());
    }
    if ASK_POLICIES.contains(&id) {
        errors.push(Refusal::PolicyUnsound.into());
    }
    if READ_POLICIES.contains(&id) {
        errors.push(unreadable());
    }
    if ASK_A_PROVIDER.contains(&id) {
        errors.extend(of_providers().map(Error::Provider));
    }
    if NEED_ROOM.contains(&id) {
        errors.push(Error::DiskLow);
    }
    if NEED_WITNESSES.contains(&id) {
        errors.push(Error::WitnessUnavailable);
    }
    if FOR_VISITORS.0.contains(&id) {
        errors.extend([Error::RateLimited { retry_after: Duration::ZERO }, storage()]);
    }
    if FOR_VISITORS.1.contains(&id) {
        errors.extend([Error::Interrupted, CommitError::LogFrozen { tenant: String::new() }.into()]);
    }
    if id == "operations_readyz" {
        errors.extend([storage(), CommitError::Stopped.into()]);
    }
    errors
}

/// How an administrator may be wrong to ask at all.
fn of_demand(method: &str, operation: &Operation) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if method == "post" {
        refusals.push(Refusal::CrossSite);
    }
    if let Some(Demand::May(act)) = Demand::of(operation) {
        refusals.push(Refusal::NotAllowed);
        if act.needs_passkey() {
            refusals.extend([Refusal::PasskeyNeeded, Refusal::PasskeyCloned]);
        }
    }
    refusals
}

/// What is wrong with what was sent, or with where it was sent to.
fn of_input(operation: &Operation) -> Vec<Error> {
    let has = |place: ParameterIn| {
        let is_there = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(it) if it.parameter_in == place);
        operation.parameters.iter().flatten().any(is_there)
    };
    let mut errors = Vec::new();
    let id = operation.operation_id.as_deref().unwrap_or_default();
    if has(ParameterIn::Path) || NAME_THINGS.contains(&id) {
        errors.push(Error::NotFound);
    }
    if has(ParameterIn::Query) {
        errors.push(Error::Malformed(""));
    }
    if let Some(RefOr::T(body)) = &operation.request_body {
        errors.extend([Error::Malformed(""), JwsError::TooLong.into()]);
        if body.content.contains_key(CONTENT_TYPE) {
            errors.extend([JwsError::Header.into(), Error::UrlMismatch, Error::BadNonce]);
            errors.extend([Refusal::UserInactive, Refusal::DeviceInactive].map(Error::Refused));
        }
    }
    errors
}

fn of_providers() -> [ProviderError; 11] {
    let unusable =
        [Unusable::Disabled, Unusable::PendingDeletion, Unusable::Expired, Unusable::Exhausted, Unusable::NotYetValid];
    let [disabled, deleted, expired, exhausted, early] = unusable.map(ProviderError::KeyUnusable);
    let (throttled, unavailable) =
        (ProviderError::Throttled { retry_after: None }, ProviderError::Unavailable { retry_after: None });
    let broken = ProviderError::Broken(Box::new(std::fmt::Error));
    let (refused, mismatch, missing) = (ProviderError::Refused, ProviderError::Mismatch, ProviderError::NoSuchKey);
    [mismatch, missing, disabled, deleted, expired, exhausted, early, refused, throttled, unavailable, broken]
}

fn unreadable() -> Error {
    let problem = ::policies::Problem::TextTooLong;
    Error::PolicyText(Box::new(::policies::PolicyError { policy: None, line: 1, column: 1, problem }))
}

fn storage() -> Error {
    StoreError::Corrupt { column: "" }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_that_is_named_here_exists() {
        let document = openapi();
        let operations = document.paths.paths.values().flat_map(|item| [&item.get, &item.post]).flatten();
        let ids: BTreeSet<_> = operations.filter_map(|operation| operation.operation_id.as_deref()).collect();
        let own = OWN.iter().map(|(id, _)| id);
        for id in own
            .chain(ASK_POLICIES)
            .chain(READ_POLICIES)
            .chain(ASK_A_PROVIDER)
            .chain(NEED_ROOM)
            .chain(NEED_WITNESSES)
            .chain(FOR_VISITORS.0)
        {
            assert!(ids.contains(id), "{id}");
        }
    }
}
