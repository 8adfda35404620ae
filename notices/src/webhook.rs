//! Notices as webhooks: one signed POST each, after Standard Webhooks.

use crate::{Envelope, Notice, Time, Trouble};
use serde::Serialize;
use sinks::webhook::Endpoint;

/// A receiver of notices. It verifies signatures with its key, and removes duplicates by `webhook-id`.
#[derive(Debug)]
pub struct Webhook(Endpoint);

/// The body: `{"type", "timestamp", "tenant", "data"}`.
#[derive(Serialize)]
struct Body<'a> {
    timestamp: Time,
    tenant: &'a str,
    #[serde(flatten)]
    notice: &'a Notice,
}

impl Webhook {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }

    /// Sends the notice once. `Ok` when the receiver answered that it has it.
    ///
    /// # Errors
    /// [`Trouble`]; what an operator can repair counts as [`Trouble::Retry`].
    pub async fn send(&self, envelope: &Envelope) -> Result<(), Trouble> {
        let body = Body { timestamp: envelope.at, tenant: &envelope.tenant, notice: &envelope.notice };
        let id = format!("notice_{}", envelope.id.simple());
        let write = |out: &mut Vec<u8>| {
            serde_json::to_writer(out, &body).expect("invariant: a notice is JSON, and memory takes it");
        };
        self.0.post(&id, write).await.map_err(|trouble| match trouble {
            sinks::Trouble::Retry { after } => Trouble::Retry { after },
            sinks::Trouble::Paused(reason) => {
                tracing::warn!(reason = reason.outcome().as_str(), "a webhook for notices needs an operator");
                Trouble::Retry { after: None }
            }
            sinks::Trouble::Refused(reason) => Trouble::Refused(reason),
        })
    }
}
