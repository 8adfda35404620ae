use super::Fault;
use crate::event::{Event, Field, Kind};
use crate::leaf::Opened;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A person who was erased from the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erasure {
    /// The `cor` of its `subject.erased`: what the events that it made unreadable are marked with.
    pub reference: Uuid,
    /// Index of the `subject.erased`; `None` where it is not among the events: it came after the checkpoint, or the mark
    /// is only said.
    pub index: Option<u64>,
    /// Indices of the events that are marked, in order.
    pub events: Vec<u64>,
}

/// Follows which events are marked as erased, and by what.
#[derive(Default)]
pub(super) struct Erasures(BTreeMap<Uuid, Erasure>);

impl Erasures {
    /// Fails for an event that is marked although something is disclosed of it.
    pub(super) fn observe(&mut self, index: u64, opened: &Opened) -> Result<(), Fault> {
        let Opened { event, erased, .. } = opened;
        if let (Kind::SubjectErased, Some(reference)) = (event.kind, event.correlation) {
            self.of(reference).index.get_or_insert(index);
        }
        if let Some(reference) = *erased {
            self.of(reference).events.push(index);
        }
        if erased.is_some() && discloses(event) { Err(Fault::Erasure) } else { Ok(()) }
    }

    fn of(&mut self, reference: Uuid) -> &mut Erasure {
        self.0.entry(reference).or_insert_with(|| Erasure { reference, ..Erasure::default() })
    }

    pub(super) fn conclude(self) -> Vec<Erasure> {
        self.0.into_values().collect()
    }
}

fn discloses(event: &Event) -> bool {
    Field::ALL.into_iter().any(|field| event.text(field).is_some())
}
