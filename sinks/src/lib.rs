//! Where the log is delivered: each kind of receiver is a [`Sink`], each way to write an event down a [`Format`].
//!
//! The log is the only queue. The broker keeps a cursor per tenant and sink, renders what is due, and hands it over in
//! batches; a sink translates and sends. It never retries, skips, sorts or decides.

pub mod elasticsearch;
mod file;
mod format;
mod gzip;
pub mod https;
pub mod kafka;
mod message;
pub mod otlp;
pub mod s3;
pub mod secops;
pub mod sentinel;
pub mod splunk;
pub mod syslog;
mod taxonomy;
pub mod tcp;
pub mod webhook;

pub use file::FileSink;
pub use format::{Format, Source, Tally};
pub use message::{Message, Place, Severity};

use async_trait::async_trait;
use audit::event::Outcome;
use std::time::Duration;

/// What `Ok` of [`Sink::deliver`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has stored the messages.
    Confirmed,
    /// The messages were sent; nothing tells whether they arrived.
    Transmitted,
}

impl Delivery {
    /// The word in the operator's view and in `docs/OPERATIONS.md`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Transmitted => "transmitted",
        }
    }
}

/// The most that a receiver takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages.
    pub messages: usize,
    /// Bytes of all bodies together. A single message may be longer: the receiver then decides.
    pub bytes: usize,
}

/// A message that the receiver will never take, in a batch of which it took the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its position in the batch.
    pub position: usize,
    /// Why, as a reason code.
    pub reason: Outcome,
}

/// Why a batch was not delivered. Some of it may have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Deliver the same batch again, not before the time the receiver asked for.
    #[error("delivery failed for now")]
    Retry {
        /// What the receiver asked for.
        after: Option<Duration>,
    },
    /// Deliver nothing until an operator has acted: trying again changes nothing, and skipping would lose events.
    #[error("the sink is paused: {0}")]
    Paused(PauseReason),
    /// The receiver will never take this batch, and does not say which message is at fault. None of it was taken.
    #[error("the batch is refused for good: {}", .0.as_str())]
    Refused(Outcome),
}

/// Why only an operator can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PauseReason {
    /// The receiver does not accept the credentials.
    #[error("the receiver refuses the credentials")]
    Unauthorized,
    /// There is no such receiver.
    #[error("there is no such receiver")]
    NotFound,
    /// No trusted TLS connection.
    #[error("no trusted TLS connection")]
    Tls,
    /// The receiver's address is one that this sink may not connect to.
    #[error("the receiver's address is not allowed")]
    Forbidden,
    /// The receiver is there, but not set up for what this sink sends.
    #[error("the receiver is not set up for what this sink sends")]
    Misconfigured,
    /// The file may not be written.
    #[error("the file may not be written")]
    NotWritable,
}

impl PauseReason {
    /// The reason code in events, in the operator's view and in `docs/OPERATIONS.md`.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Unauthorized => const { Outcome::from_static("unauthorized") },
            Self::NotFound => const { Outcome::from_static("not_found") },
            Self::Tls => const { Outcome::from_static("tls_untrusted") },
            Self::Forbidden => const { Outcome::from_static("address_forbidden") },
            Self::Misconfigured => const { Outcome::from_static("misconfigured") },
            Self::NotWritable => const { Outcome::from_static("not_writable") },
        }
    }
}

/// A receiver. Takes messages in order, at least once.
#[async_trait]
pub trait Sink: Send {
    /// What `Ok` of [`Sink::deliver`] means.
    fn delivery(&self) -> Delivery;

    /// The most that [`Sink::deliver`] is given at once.
    fn limits(&self) -> Limits;

    /// Delivers the batch: `Ok` when the receiver has taken all but the messages named. May be dropped at any await point;
    /// the batch is then delivered again.
    ///
    /// # Errors
    /// [`Trouble`] when the batch as a whole was not delivered.
    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Refused>, Trouble>;
}
