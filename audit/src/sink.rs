//! Sinks: where the log's events are delivered. The log is the only queue; a cursor per tenant and sink, kept by the
//! broker, says what is still to be delivered.

mod file;

pub use file::FileSink;

use crate::Origin;
use async_trait::async_trait;
use std::time::Duration;

/// An event on its way to a sink. Its id is [`Origin::event_id`], the same over retries and replays.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The log it belongs to.
    pub origin: Origin,
    /// Its index in that log.
    pub index: u64,
    /// The signed leaf.
    pub leaf: String,
    /// The disclosures that this sink may see.
    pub disclosures: Vec<String>,
}

/// What success means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has stored the events.
    Confirmed,
    /// The events were sent; nothing tells whether they arrived.
    Transmitted,
}

/// What to do about a batch that was not delivered. Some of it may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// Deliver the same batch again, not before the time the receiver asked for.
    #[error("delivery failed for now")]
    Retry {
        /// What the receiver asked for.
        after: Option<Duration>,
    },
    /// Deliver nothing until an operator has acted.
    #[error("the sink is paused: {0}")]
    Paused(PauseReason),
    /// This event will never be accepted; the others may be.
    #[error("event {index} is refused for good")]
    Rejected {
        /// Its index.
        index: u64,
    },
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
    /// The file may not be written.
    #[error("the file may not be written")]
    NotWritable,
}

/// A place that receives events, in order, at least once. Translates and sends; never retries, never skips.
#[async_trait]
pub trait Sink: Send {
    /// What `Ok` of [`Sink::deliver`] means.
    fn delivery(&self) -> Delivery;

    /// Delivers the whole batch, or says what to do.
    ///
    /// # Errors
    /// [`SinkError`].
    async fn deliver(&mut self, batch: &[Delivered]) -> Result<(), SinkError>;
}
