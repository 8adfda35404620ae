use crate::{IngressRefused, ReceiptRefused, StateError};
use protocol::{
    encoding::Malformed,
    messages::Problem,
    names::{BadName, Kind},
    record::BundleError,
};

/// Why a device could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker's URL is not an `https` one that others can be formed from.
    #[error("not the URL of a broker")]
    Url,
    /// The roots are not at least one certificate in PEM.
    #[error("not root certificates in PEM")]
    Roots,
    /// A name or text breaks its rule.
    #[error(transparent)]
    Name(#[from] BadName),
    /// No answer, though it was asked again where that is safe. Try later.
    #[error("no answer from the broker")]
    Unreachable(#[from] reqwest::Error),
    /// The broker refused; its `code` says what to do.
    #[error("the broker refused: {} ({})", .0.title, .0.code)]
    Refused(Box<Problem>),
    /// Something on the way answered in the broker's place.
    #[error("HTTP status {0} without a problem document")]
    Status(u16),
    /// The answer is too long, or not the JSON it should be.
    #[error("the answer does not follow the protocol")]
    Answer,
    /// The answer contradicts the question. Do not repeat: report it.
    #[error("the broker answered with {0}")]
    Contradiction(&'static str),
    /// What the broker did is not proven to be in the tenant's log. Do not repeat: report it.
    #[error("the log does not prove it: {0}")]
    Receipt(#[from] ReceiptRefused),
    /// The log key is another than the one that the caller expected at enrolment. Nothing was kept: report it.
    #[error("the tenant's log key is not the one expected")]
    OtherLogKey,
    /// The key to seal to is not vouched for by the tenant's log key. The one before stays in use: report it.
    #[error("the ingress key is not the tenant's: {0}")]
    Ingress(#[from] IngressRefused),
    /// The record was made with a passphrase, and none was given.
    #[error("the record of kind `{0}` needs its passphrase")]
    PassphraseNeeded(Kind),
    /// The passphrase is wrong, or the record's keys are.
    #[error("the passphrase is wrong, or the record was exchanged")]
    WrongPassphrase,
    /// What was released is not sealed to this restore, or belongs to another record. Do not repeat: report it.
    #[error("the released key is not the one asked for")]
    Released,
    /// The record's keys are right and its bundle is not.
    #[error("the bundle does not open: {0}")]
    Bundle(#[from] BundleError),
    /// Older than a generation this device has seen. Do not use: report it.
    #[error("generation {offered} of kind `{kind}` is older than {known}, which this device knows")]
    Rollback {
        /// What sort of key.
        kind: Kind,
        /// What the broker offered.
        offered: u64,
        /// What the device knows there is.
        known: u64,
    },
    /// The restore ended without a release.
    #[error("the restore is over without a release")]
    RestoreOver,
    /// The state file cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self::Answer
    }
}

impl Error {
    /// Whether the same question may get another answer soon.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(error) => !error.is_builder(),
            Self::Refused(problem) => {
                is_transient_status(problem.status) || problem.code == Problem::RESTORE_IN_PROGRESS
            }
            Self::Status(status) => is_transient_status(*status),
            Self::Url
            | Self::Roots
            | Self::Name(_)
            | Self::Answer
            | Self::Contradiction(_)
            | Self::Receipt(_)
            | Self::OtherLogKey
            | Self::Ingress(_)
            | Self::PassphraseNeeded(_)
            | Self::WrongPassphrase
            | Self::Released
            | Self::Bundle(_)
            | Self::Rollback { .. }
            | Self::RestoreOver
            | Self::State(_) => false,
        }
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }
}

fn is_transient_status(status: u16) -> bool {
    matches!(status, 429 | 502..=504)
}
