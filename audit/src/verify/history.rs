use super::erasures::{Erasure, Erasures};
use super::holdings::Holdings;
use super::pairing::{OpenIntent, Pairing};
use super::{Failure, Fault};
use crate::Origin;
use crate::event::{Event, Kind};
use crate::leaf::{self, EventPublicKey, LeafError, Opened};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// What the events of one log must hold to among each other, followed in the order of their indices.
pub(super) struct History {
    origin: Origin,
    keys: Vec<EventPublicKey>,
    seen: HashSet<Uuid>,
    pairing: Pairing,
    holdings: Holdings,
    erasures: Erasures,
    last_iat: u64,
    released: u64,
}

/// What a log in which nothing is wrong tells.
pub(super) struct Told {
    pub(super) released: u64,
    pub(super) records_under: BTreeMap<String, u64>,
    pub(super) open: Vec<OpenIntent>,
    pub(super) erasures: Vec<Erasure>,
}

impl History {
    pub(super) fn of(origin: Origin) -> Self {
        Self {
            origin,
            keys: Vec::new(),
            seen: HashSet::new(),
            pairing: Pairing::default(),
            holdings: Holdings::default(),
            erasures: Erasures::default(),
            last_iat: 0,
            released: 0,
        }
    }

    /// The event keys announced so far.
    pub(super) fn keys(&self) -> &[EventPublicKey] {
        &self.keys
    }

    /// Verifies a leaf with the keys announced so far; the first leaf announces the key that signs it.
    pub(super) fn open(&mut self, index: u64, leaf: &str, disclosures: &[String]) -> Result<Opened, Fault> {
        if index == 0 && self.keys.is_empty() {
            let first = leaf::read(leaf, disclosures).map_err(Fault::Leaf)?;
            self.keys.extend(first.event.event_key);
        }
        self.own(leaf::open(leaf, disclosures, &self.keys).map_err(Fault::Leaf)?)
    }

    /// As [`Self::open`], for a leaf that is proven to be in the tree: where the announcement of its key is not among the
    /// events, the tree vouches alone.
    pub(super) fn open_proven(&mut self, index: u64, leaf: &str, disclosures: &[String]) -> Result<Opened, Fault> {
        match self.open(index, leaf, disclosures) {
            Err(Fault::Leaf(LeafError::UnknownKey)) => self.own(leaf::read(leaf, disclosures).map_err(Fault::Leaf)?),
            opened => opened,
        }
    }

    fn own(&self, opened: Opened) -> Result<Opened, Fault> {
        if opened.origin == self.origin { Ok(opened) } else { Err(Fault::OtherLog) }
    }

    /// Takes the next event of a log without gaps.
    pub(super) fn observe(&mut self, index: u64, opened: &Opened) -> Result<(), Fault> {
        let Opened { jti, iat, event, .. } = opened;
        if !self.seen.insert(*jti) {
            return Err(Fault::Repeated);
        }
        check_announcement(index, event)?;
        self.learn_key(index, event);
        self.pairing.observe(index, *iat, event).map_err(Fault::Pairing)?;
        self.holdings.observe(event);
        self.erasures.observe(index, opened)?;
        self.released += u64::from(event.kind == Kind::RestoreReleased);
        self.last_iat = *iat;
        Ok(())
    }

    /// Takes an event before which others may be missing: what it says of others cannot be checked.
    pub(super) fn observe_alone(&mut self, index: u64, opened: &Opened) -> Result<(), Fault> {
        self.learn_key(index, &opened.event);
        self.erasures.observe(index, opened)
    }

    fn learn_key(&mut self, index: u64, event: &Event) {
        if index > 0 && event.kind == Kind::LogKeyRotated {
            self.keys.extend(event.event_key.clone());
        }
    }

    /// The erasures so far: all that can be said of a log with gaps.
    pub(super) fn erasures(self) -> Vec<Erasure> {
        self.erasures.conclude()
    }

    /// What can only be said at the end.
    pub(super) fn conclude(self) -> Result<Told, Failure> {
        let open = self.pairing.conclude(self.last_iat);
        let open = open.map_err(|(index, what)| Fault::Pairing(what).at(index))?;
        let (records_under, erasures) = (self.holdings.conclude(), self.erasures.conclude());
        Ok(Told { released: self.released, records_under, open, erasures })
    }
}

/// `log.opened` comes first and only there; it and `log.key_rotated` announce a key, and nothing else does.
fn check_announcement(index: u64, event: &Event) -> Result<(), Fault> {
    let opens = event.kind == Kind::LogOpened;
    let announces = opens || event.kind == Kind::LogKeyRotated;
    if opens != (index == 0) || announces != event.event_key.is_some() {
        return Err(Fault::Announcement);
    }
    Ok(())
}
