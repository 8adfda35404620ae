use crate::mail::Address;
use crate::{Notice, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A notice on its way to one recipient: what an outbox keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The same over retries, so that receivers can remove duplicates by it.
    pub id: Uuid,
    /// Whose affair it is.
    pub tenant: String,
    /// When it happened.
    pub at: Time,
    /// To whom.
    pub to: Recipient,
    /// What.
    pub notice: Notice,
}

/// To whom a notice goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A person.
    Mail(Address),
    /// The webhook of this name.
    Webhook(String),
}
