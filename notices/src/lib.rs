//! To whom it is said at once: what a notice says, and how it goes out by mail and webhook.
//!
//! A [`Notice`] tells people of something that they may have to stop. It has no key and nothing key-like, and the words of
//! devices in it can neither add a header nor become a link. What is not sent yet, the broker keeps as an [`Envelope`].
//! A sender translates and sends, once: when to try again is the broker's to decide.

mod envelope;
mod facts;
mod letter;
mod mail;
mod notice;
mod quoted;
mod time;
mod webhook;

pub use envelope::{Envelope, Recipient};
pub use facts::{Policy, Restore};
pub use letter::Letter;
pub use mail::{Address, InvalidAddress, Login, Mail, Options as MailOptions, Security, Unusable};
pub use notice::Notice;
pub use time::Time;
pub use webhook::Webhook;

use audit::event::Outcome;
use std::time::Duration;

/// Why a notice did not go out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Try again, not before the time that the receiver asked for.
    #[error("it could not be sent for now")]
    Retry {
        /// What the receiver asked for.
        after: Option<Duration>,
    },
    /// This recipient will never take it.
    #[error("it is refused for good: {}", .0.as_str())]
    Refused(Outcome),
}
