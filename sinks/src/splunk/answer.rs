use crate::https::Answer;
use crate::{PauseReason, Trouble};
use audit::event::Outcome;
use reqwest::StatusCode;
use serde::Deserialize;

/// The collector's answers are a line long.
pub(super) const MAX: usize = 64 * 1024;

/// What became of a request.
pub(super) enum Posted {
    /// All of it was taken, under this number where the token has acknowledgement.
    Taken(Option<u64>),
    /// The collector stopped at an event (from 0) that it will never take.
    Invalid { event: usize, reason: Outcome },
}

#[derive(Deserialize)]
struct Reply {
    code: u16,
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
    #[serde(rename = "invalid-event-number")]
    invalid_event_number: Option<usize>,
}

/// What the collector says of a request with events. It may have indexed those before an invalid one: they come twice.
pub(super) fn read(answer: Answer) -> Result<Posted, Trouble> {
    let reply = serde_json::from_slice::<Reply>(&answer.body).ok();
    if answer.status == StatusCode::BAD_REQUEST {
        // A 400 without a code is not the collector's: something in between does not know what this is.
        let reply = reply.ok_or(Trouble::Paused(PauseReason::Misconfigured))?;
        return refused(&reply);
    }
    let answered = answer.accepted();
    match (answered, reply) {
        (Ok(_), Some(Reply { code: 0, ack_id, .. })) => Ok(Posted::Taken(ack_id)),
        // Success without the collector's own word for it is none.
        (Ok(_), _) => Err(Trouble::Retry { after: None }),
        (Err(trouble), _) => Err(trouble),
    }
}

/// What a poll for acknowledgements comes to when it is refused.
pub(super) fn poll_refused(answer: Answer) -> Trouble {
    match answer.accepted() {
        Err(Trouble::Refused(_)) => Trouble::Paused(PauseReason::Misconfigured),
        Err(trouble) => trouble,
        Ok(_) => Trouble::Retry { after: None },
    }
}

/// The codes of status 400. Only those about an event's content may cost it its delivery.
fn refused(reply: &Reply) -> Result<Posted, Trouble> {
    let reason = match reply.code {
        6 => const { Outcome::from_static("invalid_data_format") },
        12 => const { Outcome::from_static("event_field_missing") },
        13 => const { Outcome::from_static("event_field_blank") },
        15 => const { Outcome::from_static("invalid_indexed_fields") },
        // No such index (7), acknowledgement on one side only (10, 11, 14), and whatever may come.
        _ => return Err(Trouble::Paused(PauseReason::Misconfigured)),
    };
    match reply.invalid_event_number {
        Some(event) => Ok(Posted::Invalid { event, reason }),
        None => Err(Trouble::Refused(reason)),
    }
}
