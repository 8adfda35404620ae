//! An event as the rules look at it, and what they say of it.

use crate::event::{Event, Field};
use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// Stands for a person or a thing. Keyed by a key of this detector alone: it names nobody outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name(u64);

/// Gives names; two detectors give different ones.
#[derive(Debug, Default)]
pub(super) struct Names(RandomState);

impl Names {
    pub(super) fn of(&self, space: &str, text: &str) -> Name {
        Name(self.0.hash_one((space, text)))
    }
}

/// Where and when an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u64,
    /// Unix seconds.
    pub(super) iat: u64,
}

/// The event that the log goes on with.
pub(super) struct Seen<'a> {
    pub(super) at: Place,
    pub(super) boot: Uuid,
    pub(super) event: &'a Event,
    pub(super) names: &'a Names,
}

impl Seen<'_> {
    /// The name of what a field says; none where it is absent, or the person was erased.
    pub(super) fn name(&self, field: Field) -> Option<Name> {
        self.event.text(field).map(|text| self.names.of(field.as_str(), text))
    }

    /// The records that a restore is about.
    pub(super) fn records(&self) -> Vec<Name> {
        let ids = self.event.text(Field::Record).unwrap_or_default().split_whitespace();
        ids.map(|id| self.record(id)).collect()
    }

    /// A record by its id.
    pub(super) fn record(&self, id: &str) -> Name {
        self.names.of(Field::Record.as_str(), id)
    }

    /// What joins this event with others.
    pub(super) fn correlation(&self) -> Option<Name> {
        self.event.correlation.map(|correlation| self.names.of("cor", &correlation.to_string()))
    }

    /// The whole log, where it is the subject.
    pub(super) fn log(&self) -> Name {
        self.names.of("log", "")
    }

    /// The event itself, where every single one counts.
    pub(super) fn itself(&self) -> Name {
        Name(self.at.index)
    }
}

/// What a rule says of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) observed: u64,
    /// Earlier events that belong to it, in any order; the one that completed it is added.
    pub(super) earlier: Vec<u64>,
    pub(super) correlation: Option<Uuid>,
}

impl Match {
    pub(super) fn new(observed: u64, earlier: Vec<u64>) -> Self {
        Self { observed, earlier, correlation: None }
    }

    pub(super) fn about(self, correlation: Option<Uuid>) -> Self {
        Self { correlation, ..self }
    }
}

/// One rule at work: keeps what it needs of the events so far. It finds at most one thing in an event.
pub(super) trait Pattern: Send {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match>;
}
