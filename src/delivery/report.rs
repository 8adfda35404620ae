//! What the log says about its own delivery, and what was refused.

use crate::broker::Broker;
use crate::commit::{Change, Proposal, Upkeep};
use crate::store::dead_letters::DeadLetter;
use audit::event::{Event, Kind, Outcome};
use sinks::{Message, Place};
use tracing::error;

/// Appends an event about a sink to the tenant's log: what happened, and to which event. That it cannot be appended does
/// not stop the delivery.
pub(super) async fn append(
    broker: &Broker,
    (tenant, sink): (&str, &str),
    (kind, outcome): (Kind, Outcome),
    index: Option<u64>,
) {
    let about = index.map_or_else(|| sink.to_owned(), |index| format!("{sink} {index}"));
    let event = Event::new(kind, outcome).record(about);
    if let Err(error) = broker.committer.commit(Proposal::new(tenant, Change::Remark, event, kind)).await {
        error!(sink, tenant, error = &error as &dyn std::error::Error, "what became of a sink could not be recorded");
    }
}

/// Keeps a pointer to an event that the receiver refuses for good, and says so. Gives its index; `None` when the database
/// fails.
pub(super) async fn keep_dead_letter(
    broker: &Broker,
    (tenant, sink): (&str, &str),
    (message, reason): (&Message, &Outcome),
) -> Option<u64> {
    let index = match message.place {
        Place::Event(index) => index,
        Place::Checkpoint(_) | Place::Test => return None,
    };
    let letter = DeadLetter {
        tenant: tenant.into(),
        sink: sink.into(),
        index,
        reason: reason.as_str().into(),
        refused_at: broker.clock.now(),
    };
    upkeep(broker, Upkeep::KeepDeadLetter(letter)).await?;
    error!(sink, tenant, index, reason = reason.as_str(), "a sink refuses an event for good");
    // An event about a sink that is refused in its turn would go on for ever.
    if !message.name.starts_with("sink.") {
        append(broker, (tenant, sink), (Kind::SinkDeadLettered, reason.clone()), Some(index)).await;
    }
    Some(index)
}

/// Removes a dead letter whose event was taken after all. `None` when the database fails.
pub(super) async fn remove_dead_letter(broker: &Broker, letter: &DeadLetter) -> Option<()> {
    upkeep(broker, Upkeep::RemoveDeadLetter(letter.clone())).await
}

async fn upkeep(broker: &Broker, upkeep: Upkeep) -> Option<()> {
    let done = broker.committer.upkeep(upkeep).await;
    done.inspect_err(|error| error!(error = error as &dyn std::error::Error, "a dead letter could not be kept")).ok()
}
