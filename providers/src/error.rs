//! What a caller can do about a failed call: one variant per reaction.

use std::time::Duration;
use thiserror::Error;

/// Why a provider did not do what it was asked.
#[derive(Debug, Error)]
pub enum Error {
    /// Wrapped bytes, key and context do not belong together. Never retry; raise an alarm.
    #[error("the wrapped bytes, the key and the context do not belong together")]
    Mismatch,
    /// The provider holds no key of that name. Never retry.
    #[error("no such key")]
    NoSuchKey,
    /// The key exists but its owner has taken it out of use. Never retry.
    #[error("the key is {0}")]
    KeyUnusable(Unusable),
    /// The provider does not accept the broker's credentials, or does not let them do this.
    #[error("the provider refused the broker's credentials")]
    Refused,
    /// Too many calls. Retry after the time named, or with a back-off of one's own.
    #[error("the provider asks for fewer calls")]
    Throttled {
        /// What the vendor asked for.
        retry_after: Option<Duration>,
    },
    /// No usable answer, though one may come later. Retry with a back-off.
    #[error("the provider is unavailable")]
    Unavailable {
        /// What the vendor asked for.
        retry_after: Option<Duration>,
    },
    /// The provider, or its set-up, does something it must not. An operator has to look.
    #[error("the provider is broken")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// `Broken`, with what was seen as its source.
    pub(crate) fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Broken(Box::new(source))
    }
}

/// Why a key that exists may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unusable {
    /// Its owner has disabled it, or the version that wrapped.
    #[error("disabled")]
    Disabled,
    /// It will be destroyed unless its owner takes that back.
    #[error("pending deletion")]
    PendingDeletion,
    /// Its validity has ended.
    #[error("expired")]
    Expired,
    /// It has wrapped as often as it may.
    #[error("exhausted")]
    Exhausted,
    /// Its validity has not begun.
    #[error("not yet valid")]
    NotYetValid,
}
