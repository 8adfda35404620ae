//! One file per verb: the story of each, in order.

pub mod activity;
pub mod admin;
pub mod drill;
pub mod enrol;
pub mod erase;
pub mod events;
pub mod evidence;
pub mod findings;
pub mod import;
pub mod keks;
pub mod locks;
pub mod log;
pub mod lookup;
pub mod people;
pub mod place;
pub mod policies;
pub mod read;
pub mod restore;
pub mod revoke;
pub mod rewrap;
pub mod sinks;
pub mod sweep;
pub mod users;
pub mod wrap;

mod circumstances;
mod protect;
mod standing;

use crate::broker::Broker;
use crate::caller::{DeviceCaller, Source};
use crate::commit::{Change, Principal, Proposal, Upkeep};
use crate::error::{Error, Refusal};
use audit::event::{Event, Kind, Outcome};

/// What a device asked for, on its way to the log.
struct Attempt<'a> {
    broker: &'a Broker,
    caller: &'a DeviceCaller,
    refused_as: Kind,
}

impl Attempt<'_> {
    /// An event of this device.
    fn event(&self, kind: Kind) -> Event {
        let device = &self.caller.device;
        let event = from_source(Event::new(kind, Outcome::OK), &self.caller.source)
            .device(device.id.to_string())
            .user(device.user.clone());
        match self.caller.rules() {
            Ok(rules) => event.policy_digest(rules.digest),
            Err(_) => event,
        }
    }

    /// A change that this device asks for, with the event that it then is. It spends the nonce.
    fn proposal(&self, change: Change, event: Event) -> Proposal<Change> {
        let device = &self.caller.device;
        Proposal {
            tenant: device.tenant.clone(),
            nonce: Some(self.caller.nonce),
            principal: Some(Principal { user: device.user.clone(), device: device.id }),
            change,
            event,
            refused_as: self.refused_as,
            subject: device.user.clone(),
            notices: Vec::new(),
        }
    }

    /// A change that follows from one that has spent the nonce already; still gated by the device's standing.
    fn unspent(&self, change: Change, event: Event) -> Proposal<Change> {
        Proposal { nonce: None, ..self.proposal(change, event) }
    }

    /// A change that must be written whatever has become of the device since.
    fn system(&self, change: Change, event: Event) -> Proposal<Change> {
        Proposal { principal: None, ..self.unspent(change, event) }
    }

    /// Writes a refusal that was found before the gate, and gives it back as the error that it is.
    async fn refuse(&self, refusal: Refusal, event: Event) -> Error {
        let change = Change::Refuse(refusal, event.correlation);
        let proposal = Proposal { principal: None, ..self.proposal(change, event) };
        match self.broker.committer.commit(proposal).await {
            Ok(_) => Error::Refused(refusal),
            Err(error) => error,
        }
    }
}

fn from_source(event: Event, source: &Source) -> Event {
    let event = event.ip(source.ip.to_string());
    match &source.agent {
        Some(agent) => event.agent(agent.clone()),
        None => event,
    }
}

/// What was destroyed is gone whatever becomes of this; only older copies of its pages may be left in the journal.
async fn empty_journal(broker: &Broker) {
    if let Err(error) = broker.committer.upkeep(Upkeep::EmptyJournal).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the journal still holds what was destroyed");
    }
}
