//! Why a call failed, and what that means for the caller.

use crate::{Error, Unusable};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{BoxError, ConnectorError, ErrorMetadata, ProvideErrorMetadata, SdkError};
use std::error::Error as StdError;
use std::io;
use std::iter::successors;
use std::time::Duration;
use thiserror::Error;

/// Why a call gave no answer to work with. Never holds the body of an answer: a plaintext may be in it.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// KMS answered with an error.
    #[error("AWS KMS answered {status} {code}: {message}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The name of the exception; empty where the answer is not KMS's, but that of something in between.
        code: String,
        /// The server's words.
        message: String,
        /// `Retry-After`, when it was in seconds.
        retry_after: Option<Duration>,
    },
    /// No answer, or not all of it.
    #[error("AWS KMS cannot be reached: {}", words(&**.0))]
    Unreachable(#[source] BoxError),
    /// Nothing to sign with.
    #[error("there are no AWS credentials: {}", words(&**.0))]
    Credentials(#[source] BoxError),
    /// An answer that KMS does not give.
    #[error("the answer of AWS KMS makes no sense")]
    Garbage(#[source] BoxError),
    /// An answer without what was asked for.
    #[error("the answer of AWS KMS lacks the {0}")]
    Lacks(&'static str),
}

/// What a failure means, as far as it can be told without the state of the key.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing else.
    Is(Error),
    /// The state of the key forbids the call.
    State,
    /// Bytes, key and context do not belong together, unless the key is gone or may not be used.
    Mismatch,
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        if let SdkError::ServiceError(context) = &error {
            return Self::answer(context.err().meta(), context.raw());
        }
        let garbled = matches!(error, SdkError::ResponseError(_) | SdkError::ConstructionFailure(_));
        let source = error.into_source().unwrap_or_else(BoxError::from);
        if find::<CredentialsError>(&*source).is_some() {
            Self::Credentials(source)
        } else if garbled && find::<io::Error>(&*source).is_none() {
            Self::Garbage(source)
        } else {
            Self::Unreachable(source)
        }
    }
}

impl Failure {
    fn answer(said: &ErrorMetadata, response: &HttpResponse) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let retry_after = response.headers().get("retry-after").and_then(|seconds| seconds.parse().ok());
        Self::Answer {
            status: response.status().as_u16(),
            code: text(said.code()),
            message: text(said.message()),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    /// What it means, whichever call it came from.
    pub(super) fn verdict(self) -> Verdict {
        tracing::debug!(failure = %self, "AWS KMS call failed");
        match &self {
            Self::Answer { status, code, message, retry_after } => read(code, message, *retry_after)
                .or_else(|| by_status(*status, *retry_after))
                .unwrap_or_else(|| Verdict::Is(Error::broken(self))),
            Self::Unreachable(_) => Verdict::Is(Error::Unavailable { retry_after: None }),
            Self::Credentials(source) => Verdict::Is(without_credentials(&**source)),
            Self::Garbage(_) | Self::Lacks(_) => Verdict::Is(Error::broken(self)),
        }
    }
}

/// What the name of an exception means; `None` for one not known.
fn read(code: &str, message: &str, retry_after: Option<Duration>) -> Option<Verdict> {
    let is = |error| Some(Verdict::Is(error));
    match code {
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "LimitExceededException"
        | "RequestLimitExceeded" => is(Error::Throttled { retry_after }),
        "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => is(Error::Unavailable { retry_after }),
        // A caller who may not know learns no more than this where the ciphertext names a key that is not there.
        "AccessDeniedException" if message.contains("ciphertext refers to a customer master key") => {
            Some(Verdict::Mismatch)
        }
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException" => is(Error::Refused),
        "NotFoundException" | "InvalidArnException" => is(Error::NoSuchKey),
        "DisabledException" => is(Error::KeyUnusable(Unusable::Disabled)),
        "KMSInvalidStateException" => Some(Verdict::State),
        "InvalidCiphertextException"
        | "IncorrectKeyException"
        | "IncorrectKeyMaterialException"
        | "InvalidImportTokenException" => Some(Verdict::Mismatch),
        _ => None,
    }
}

/// What an answer without a known name means; `None` where its status says nothing either.
fn by_status(status: u16, retry_after: Option<Duration>) -> Option<Verdict> {
    match status {
        401 | 403 => Some(Verdict::Is(Error::Refused)),
        429 => Some(Verdict::Is(Error::Throttled { retry_after })),
        500..600 => Some(Verdict::Is(Error::Unavailable { retry_after })),
        _ => None,
    }
}

/// Whether credentials may come later: only where their source does not answer, or says so.
fn without_credentials(source: &(dyn StdError + 'static)) -> Error {
    let unavailable = Error::Unavailable { retry_after: None };
    match find::<CredentialsError>(source) {
        None | Some(CredentialsError::ProviderTimedOut(_)) => unavailable,
        Some(error) if find::<ConnectorError>(error).is_some() => unavailable,
        // STS says why in the same words as KMS.
        Some(error) => match find::<ErrorMetadata>(error).and_then(|said| read(said.code()?, "", None)) {
            Some(Verdict::Is(error @ (Error::Unavailable { .. } | Error::Throttled { .. }))) => error,
            Some(_) | None => Error::Refused,
        },
    }
}

/// The first `T` among an error and its sources.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

/// What an error and its sources say. The SDK's own way of saying it shows whole answers.
fn words(error: &(dyn StdError + 'static)) -> String {
    successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
