//! The only map from errors to answers (RFC 9457). Each code is documented in docs/API.md.

use crate::commit::CommitError;
use crate::error::{Error, Refusal};
use crate::keys::KeyError;
use crate::kms::{self, probe::described};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::messages::Problem;
use std::time::Duration;

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, title) = describe(&self);
        if status.is_server_error() {
            // What vendors and engines say stays here; the client gets the code.
            tracing::error!(code, error = &self as &dyn std::error::Error, "a request failed");
        }
        let problem = Problem {
            type_uri: format!("urn:keyfold:problem:{code}"),
            title: title.into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail(&self),
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
        if let Some(wait) = retry_after(&self) {
            // Whole seconds (RFC 9110, section 10.2.3): rounded down, a client that obeys would come too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) type Described = (StatusCode, &'static str, &'static str);

/// Status, stable code and constant title.
pub(super) fn describe(error: &Error) -> Described {
    use protocol::jws::JwsError;
    match error {
        Error::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "The request is malformed"),
        Error::Payload(_) => (StatusCode::BAD_REQUEST, "malformed", "The request is malformed"),
        Error::Jws(JwsError::TooLong) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The request is too large"),
        Error::Jws(JwsError::Body | JwsError::Header) => {
            (StatusCode::BAD_REQUEST, "malformed_jws", "The request is not signed as it must be")
        }
        Error::Jws(JwsError::Algorithm | JwsError::Signature) | Error::Unproven => {
            (StatusCode::UNAUTHORIZED, "unauthorized", "The caller is not proven")
        }
        Error::UrlMismatch => (StatusCode::UNAUTHORIZED, "url_mismatch", "The request was signed for another URL"),
        Error::BadNonce => (StatusCode::BAD_REQUEST, Problem::BAD_NONCE, "The nonce is not acceptable"),
        Error::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is no such thing"),
        Error::PolicyText(_) => (StatusCode::BAD_REQUEST, "policy_invalid", "The policies cannot be read"),
        Error::Refused(refusal) => refused(*refusal),
        Error::CountChanged { .. } => refused(Refusal::CountChanged),
        Error::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests"),
        Error::Provider(error) => provider(error),
        Error::Unfit(unfit) => provider(&unfit.error),
        Error::Keys(KeyError::Missing(_) | KeyError::Origin(_)) => {
            (StatusCode::NOT_FOUND, "not_found", "There is no such thing")
        }
        Error::Keys(KeyError::SubjectErased) => (StatusCode::GONE, "subject_erased", "The person was erased"),
        Error::Store(_)
        | Error::Commit(CommitError::Database(_) | CommitError::JournalInUse)
        | Error::Keys(KeyError::Root(_) | KeyError::Sealed(_) | KeyError::Document(_) | KeyError::Store(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", "The database failed; nothing was released")
        }
        Error::Commit(CommitError::LogInconsistent { .. } | CommitError::LogFrozen { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "log_frozen", "The log is frozen; nothing is released")
        }
        Error::Commit(CommitError::Stopped) | Error::Interrupted => {
            (StatusCode::SERVICE_UNAVAILABLE, "interrupted", "The operation was interrupted; ask again")
        }
        Error::WitnessUnavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "witness_unavailable", "No witness has seen the request; ask again")
        }
        Error::DiskLow => (StatusCode::SERVICE_UNAVAILABLE, "disk_low", "The disk is nearly full; nothing is released"),
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one line for each refusal, and the compiler holds it complete")]
fn refused(refusal: Refusal) -> Described {
    let (status, title) = match refusal {
        Refusal::TenantInactive => (StatusCode::FORBIDDEN, "The tenant is not active"),
        Refusal::UserInactive => (StatusCode::FORBIDDEN, "The user is not active"),
        Refusal::DeviceInactive => (StatusCode::FORBIDDEN, "The device is not active"),
        Refusal::KekInactive => (StatusCode::FORBIDDEN, "The KEK is disabled, revoked or destroyed"),
        Refusal::KekNotDisabled => (StatusCode::CONFLICT, "The KEK is not disabled"),
        Refusal::KekTaken => (StatusCode::CONFLICT, "The key is registered already"),
        Refusal::KekReserved => (StatusCode::FORBIDDEN, "The key seals the broker's own keys"),
        Refusal::ProviderReserved => (StatusCode::FORBIDDEN, "The key provider serves other tenants only"),
        Refusal::NothingToRotate => (StatusCode::CONFLICT, "The key provider shows no other version than before"),
        Refusal::DestructionOver => (StatusCode::GONE, "The destruction was confirmed or cancelled, or is too old"),
        Refusal::SecondAdministratorNeeded => (StatusCode::FORBIDDEN, "Another administrator has to confirm"),
        Refusal::CountChanged => (StatusCode::CONFLICT, "Another number of records would be lost"),
        Refusal::KekMissing => (StatusCode::CONFLICT, "The tenant has no KEK yet"),
        Refusal::ProtectionChanged => (StatusCode::CONFLICT, "The tenant's KEKs have changed; ask again"),
        Refusal::RecordRewrapped => (StatusCode::CONFLICT, "Another has wrapped the record anew"),
        Refusal::RewrapOpen => (StatusCode::CONFLICT, "Another rewrap of the tenant is not over yet"),
        Refusal::RewrapOver => (StatusCode::CONFLICT, "The rewrap is not in a state for that"),
        Refusal::RewrapIncomplete => (StatusCode::CONFLICT, "Records are left that are not under the tenant's KEKs"),
        Refusal::RecordShredded => (StatusCode::GONE, "The record's KEK was destroyed: nothing can open it"),
        Refusal::CodeInvalid => (StatusCode::FORBIDDEN, "The enrolment code is unknown, used or expired"),
        Refusal::DeviceKnown => (StatusCode::CONFLICT, "This device key was enrolled before"),
        Refusal::StaleGeneration => (StatusCode::CONFLICT, "The generation is not one more than the newest"),
        Refusal::RecordTaken => (StatusCode::CONFLICT, "The record id is taken by another backup"),
        Refusal::RecordUnknown => (StatusCode::NOT_FOUND, "There is no such record of this user"),
        Refusal::SealedInvalid => (StatusCode::BAD_REQUEST, "The sealed value is not for this record"),
        Refusal::StaleIngress => (StatusCode::CONFLICT, "The ingress key is no longer in use"),
        Refusal::RestoreUnknown => (StatusCode::NOT_FOUND, "There is no such restore of this device"),
        Refusal::RestorePending => (StatusCode::CONFLICT, "The restore still waits for people or time"),
        Refusal::RestoreInProgress => (StatusCode::CONFLICT, "The restore is being released; ask again"),
        Refusal::RestoreOver => (StatusCode::GONE, "The restore is over; open a new one"),
        Refusal::RestoreReleased => (StatusCode::CONFLICT, "The restore was released: it can no longer be stopped"),
        Refusal::OwnRestore => (StatusCode::FORBIDDEN, "Nobody approves for themselves"),
        Refusal::AlreadyApproved => (StatusCode::CONFLICT, "Who approves counts once"),
        Refusal::MatchCodeWrong => (StatusCode::FORBIDDEN, "The device that asks shows another match code"),
        Refusal::MatchCodesSpent => (StatusCode::FORBIDDEN, "Too many wrong match codes; people have to approve"),
        Refusal::RestoreNotReleased => (StatusCode::CONFLICT, "Nothing was released that could be acknowledged"),
        Refusal::TranscriptMismatch => (StatusCode::CONFLICT, "The transcript is not this restore's"),
        Refusal::QuotaSpent => (StatusCode::FORBIDDEN, "The user has asked for too many restores"),
        Refusal::UserLocked => {
            (StatusCode::FORBIDDEN, "The user's restores are locked; an administrator can unlock them")
        }
        Refusal::TenantFrozen => {
            (StatusCode::FORBIDDEN, "The tenant's restores are frozen; an administrator can let them go on")
        }
        Refusal::NotLocked => (StatusCode::CONFLICT, "Nothing is locked there"),
        Refusal::PolicyDenied => (StatusCode::FORBIDDEN, "The policy does not allow it"),
        Refusal::PolicyChanged => (StatusCode::CONFLICT, "The policy has changed; open a new restore"),
        Refusal::PolicyUnsound => {
            (StatusCode::SERVICE_UNAVAILABLE, "Nobody can say which policies are in force; nothing is released")
        }
        Refusal::PolicyVersionChanged => (StatusCode::CONFLICT, "The policies have been changed meanwhile; look again"),
        Refusal::PolicyVersionOver => (StatusCode::CONFLICT, "The version of the policies is not in a state for that"),
        Refusal::NothingToRollBack => (StatusCode::CONFLICT, "The policies in force have replaced none"),
        Refusal::LoginInvalid => (StatusCode::FORBIDDEN, "The login does not hold for this restore; log in again"),
        Refusal::NonceSpent => return (StatusCode::BAD_REQUEST, Problem::BAD_NONCE, "The nonce is not acceptable"),
        Refusal::ImportUnsupported => (StatusCode::CONFLICT, "The key provider takes in no keys made elsewhere"),
        Refusal::MaterialInvalid => (StatusCode::BAD_REQUEST, "The material does not open at the key provider"),
        Refusal::UserNotRevoked => (StatusCode::CONFLICT, "The person still has access; revoke it first"),
        Refusal::SubjectErased => (StatusCode::GONE, "The person was erased"),
        Refusal::NotAllowed => (StatusCode::FORBIDDEN, "The caller's roles do not hold that"),
        Refusal::PersonNeeded => (StatusCode::FORBIDDEN, "A person has to do that, by session"),
        Refusal::PasskeyNeeded => (StatusCode::FORBIDDEN, "This has to be signed with a passkey"),
        Refusal::PasskeyCloned => (StatusCode::FORBIDDEN, "The passkey was copied; remove it"),
        Refusal::LastPasskey => (StatusCode::CONFLICT, "The last passkey cannot be removed"),
        Refusal::PasskeyRefused => (StatusCode::BAD_REQUEST, "The passkey is not one that may be used here"),
        Refusal::CeremonyOver => (StatusCode::GONE, "Too late, or done already; begin again"),
        Refusal::InvitationInvalid => (StatusCode::FORBIDDEN, "The invitation is unknown, used or expired"),
        Refusal::AdminChanged => (StatusCode::CONFLICT, "The administrator has been changed meanwhile; look again"),
        Refusal::UserChanged => (StatusCode::CONFLICT, "The user has been changed meanwhile; look again"),
        Refusal::LastOwner => (StatusCode::CONFLICT, "The installation needs an owner"),
        Refusal::SignOnRefused => (StatusCode::FORBIDDEN, "The sign-on does not hold; begin again"),
        Refusal::IssuerUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "The issuer gives no usable answer; ask again"),
        Refusal::LogoutRefused => (StatusCode::BAD_REQUEST, "The logout token does not hold"),
        Refusal::CrossSite => (StatusCode::FORBIDDEN, "The request comes from another site"),
        Refusal::SinkRunning => (StatusCode::CONFLICT, "The sink is not stopped"),
        Refusal::LogNotFrozen => (StatusCode::CONFLICT, "The log is not frozen"),
        Refusal::Taken => (StatusCode::CONFLICT, "The id is taken"),
        Refusal::Unknown => (StatusCode::NOT_FOUND, "There is no such thing"),
    };
    (status, refusal.as_str(), title)
}

fn provider(error: &providers::Error) -> Described {
    use providers::Error as Provider;
    let (status, title) = match error {
        Provider::Mismatch => (StatusCode::CONFLICT, "The wrapped record is not what it should be"),
        Provider::NoSuchKey => (StatusCode::CONFLICT, "The customer's key does not exist"),
        Provider::KeyUnusable(_) => (StatusCode::CONFLICT, "The customer's key may not be used"),
        Provider::Refused => (StatusCode::BAD_GATEWAY, "The key provider refuses the broker"),
        Provider::Throttled { .. } => (StatusCode::SERVICE_UNAVAILABLE, "The key provider asks for fewer calls"),
        Provider::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "The key provider is unavailable"),
        Provider::Broken(_) => (StatusCode::BAD_GATEWAY, "The key provider is broken"),
    };
    (status, kms::code(error), title)
}

fn detail(error: &Error) -> Option<String> {
    match error {
        Error::Malformed(what) => Some((*what).into()),
        Error::Payload(malformed) => Some(malformed.to_string()),
        Error::Jws(malformed) => Some(malformed.to_string()),
        Error::PolicyText(error) => Some(error.to_string()),
        Error::Unfit(unfit) => Some(described(&unfit.steps)),
        Error::CountChanged { lost } => Some(format!("{lost} records would be lost now")),
        Error::Unproven
        | Error::UrlMismatch
        | Error::BadNonce
        | Error::NotFound
        | Error::Refused(_)
        | Error::RateLimited { .. }
        | Error::Provider(_)
        | Error::Store(_)
        | Error::Commit(_)
        | Error::Keys(_)
        | Error::WitnessUnavailable
        | Error::DiskLow
        | Error::Interrupted => None,
    }
}

fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::RateLimited { retry_after } => Some(*retry_after),
        Error::Provider(error) => passing(error),
        Error::Unfit(unfit) => passing(&unfit.error),
        Error::Refused(Refusal::RestoreInProgress) | Error::Interrupted => Some(Duration::from_secs(1)),
        Error::Store(_) | Error::Commit(_) | Error::WitnessUnavailable | Error::DiskLow => Some(Duration::from_secs(5)),
        Error::Malformed(_)
        | Error::Payload(_)
        | Error::Jws(_)
        | Error::Unproven
        | Error::UrlMismatch
        | Error::BadNonce
        | Error::NotFound
        | Error::PolicyText(_)
        | Error::Refused(_)
        | Error::CountChanged { .. }
        | Error::Keys(_) => None,
    }
}

fn passing(error: &providers::Error) -> Option<Duration> {
    match error {
        providers::Error::Throttled { retry_after } | providers::Error::Unavailable { retry_after } => {
            Some(retry_after.unwrap_or(Duration::from_secs(2)))
        }
        providers::Error::Mismatch
        | providers::Error::NoSuchKey
        | providers::Error::KeyUnusable(_)
        | providers::Error::Refused
        | providers::Error::Broken(_) => None,
    }
}
