use super::files::{Files, Lines};
use super::holdings::Holdings;
use super::pairing::Pairing;
use super::{Failure, Fault, Report};
use crate::Hash;
use crate::event::{Event, Kind};
use crate::export::{EVENT_KEYS, EVENTS, event_keys};
use crate::leaf::{self, EventPublicKey, LeafError, Opened};
use crate::line::line;
use crate::note::Checkpoint;
use crate::tile::{self, TileId, WIDTH};
use crate::tree::{Edge, Tile, leaf_hash};
use serde::Deserialize;
use std::collections::HashSet;
use uuid::Uuid;

/// One pass over a log, from its first event to its last.
pub(super) struct Walk<'a> {
    files: &'a Files<'a>,
    checkpoint: Checkpoint,
    older: Option<Checkpoint>,
    lines: Lines,
    edge: Edge,
    keys: Vec<EventPublicKey>,
    seen: HashSet<Uuid>,
    pairing: Pairing,
    holdings: Holdings,
    last_iat: u64,
    released: u64,
    disclosures: u64,
}

/// Of a line only this is read; everything else in it must follow.
#[derive(Deserialize)]
struct Shown {
    disclosures: Vec<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        files: &'a Files<'a>,
        checkpoint: Checkpoint,
        older: Option<Checkpoint>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            files,
            checkpoint,
            older,
            lines: files.lines(EVENTS)?,
            edge: Edge::new(),
            keys: Vec::new(),
            seen: HashSet::new(),
            pairing: Pairing::default(),
            holdings: Holdings::default(),
            last_iat: 0,
            released: 0,
            disclosures: 0,
        })
    }

    /// Checks every entry, bundle by bundle, and every full tile.
    pub(super) fn entries(&mut self) -> Result<(), Failure> {
        self.check_older()?;
        for bundle in 0..self.checkpoint.size.div_ceil(WIDTH) {
            self.bundle(bundle)?;
            for tile in self.edge.take_full_tiles() {
                self.check_tile(&tile)?;
            }
        }
        let partial: Vec<_> = self.edge.partial_tiles().collect();
        partial.iter().try_for_each(|tile| self.check_tile(tile))
    }

    fn bundle(&mut self, index: u64) -> Result<(), Failure> {
        let first = index * WIDTH;
        let width = u16::try_from((self.checkpoint.size - first).min(WIDTH)).expect("invariant: at most 256");
        let bundle = self.files.resource(tile::Path::Entries { index, width })?;
        let tile = self.files.resource(tile::Path::Tile(TileId { level: 0, index, width }))?;
        let hashes = tile::decode_tile(&tile).unwrap_or_default();
        let mut entries = tile::entries(&bundle);
        for (at, position) in (first..).zip(0..usize::from(width)) {
            let entry = entries.next().flatten().ok_or_else(|| Fault::Missing.at(at))?;
            self.entry(at, entry, hashes.get(position)).map_err(|what| what.at(at))?;
            self.check_older()?;
        }
        if entries.next().is_some() { Err(Fault::Surplus.at(first + u64::from(width))) } else { Ok(()) }
    }

    fn entry(&mut self, index: u64, entry: &[u8], tile_hash: Option<&Hash>) -> Result<(), Fault> {
        let hash = leaf_hash(entry);
        if tile_hash != Some(&hash) {
            return Err(Fault::Tile { level: 0 });
        }
        let leaf = str::from_utf8(entry).map_err(|_| Fault::Leaf(LeafError::Malformed))?;
        let shown = self.lines.next().map_err(|failure| failure.what)?;
        let Shown { disclosures } = serde_json::from_slice(&shown).map_err(|_| Fault::Line)?;
        let opened = self.open(index, leaf, &disclosures)?;
        if shown.strip_suffix(b"\n") != Some(&*line(index, &opened, leaf, &disclosures, None)) {
            return Err(Fault::Line);
        }
        self.observe(index, &opened)?;
        self.disclosures += disclosures.len() as u64;
        self.edge.append(hash);
        Ok(())
    }

    /// Verifies a leaf with the keys announced so far; the first leaf announces the key that signs it.
    fn open(&mut self, index: u64, leaf: &str, disclosures: &[String]) -> Result<Opened, Fault> {
        if index == 0 {
            let first = leaf::read(leaf, disclosures).map_err(Fault::Leaf)?;
            self.keys.extend(first.event.event_key);
        }
        let opened = leaf::open(leaf, disclosures, &self.keys).map_err(Fault::Leaf)?;
        if opened.origin != self.checkpoint.origin {
            return Err(Fault::OtherLog);
        }
        Ok(opened)
    }

    fn observe(&mut self, index: u64, Opened { jti, iat, event, .. }: &Opened) -> Result<(), Fault> {
        if !self.seen.insert(*jti) {
            return Err(Fault::Repeated);
        }
        self.announcement(index, event)?;
        self.pairing.observe(index, *iat, event).map_err(Fault::Pairing)?;
        self.holdings.observe(event);
        self.released += u64::from(event.kind == Kind::RestoreReleased);
        self.last_iat = *iat;
        Ok(())
    }

    /// `log.opened` comes first and only there; it and `log.key_rotated` announce a key, and nothing else does.
    fn announcement(&mut self, index: u64, event: &Event) -> Result<(), Fault> {
        let opens = event.kind == Kind::LogOpened;
        let announces = opens || event.kind == Kind::LogKeyRotated;
        if opens != (index == 0) || announces != event.event_key.is_some() {
            return Err(Fault::Announcement);
        }
        if index > 0 {
            self.keys.extend(event.event_key.clone());
        }
        Ok(())
    }

    /// Where the older checkpoint ends, the root must be the one it signed.
    fn check_older(&self) -> Result<(), Failure> {
        match &self.older {
            Some(older) if older.size == self.edge.size() && older.root != self.edge.root() => {
                Err(Fault::Forked.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The tile in the export must be `tile`; the first event under the first other hash is named.
    fn check_tile(&self, tile: &Tile) -> Result<(), Failure> {
        let Tile { level, index, hashes } = tile;
        let found = self.files.resource(tile::Path::Tile(tile.id()))?;
        if found == tile.bytes() {
            return Ok(());
        }
        let found = tile::decode_tile(&found).unwrap_or_default();
        let same = hashes.iter().zip(found).take_while(|(expected, found)| expected == found).count();
        let under = (index * WIDTH + same as u64) << (8 * u32::from(*level));
        Err(Fault::Tile { level: *level }.at(under))
    }

    /// What can only be said at the end.
    pub(super) fn conclude(mut self) -> Result<Report, Failure> {
        if self.edge.root() != self.checkpoint.root {
            return Err(Fault::Root.into());
        }
        if !self.lines.next()?.is_empty() {
            return Err(Fault::Surplus.at(self.checkpoint.size));
        }
        if self.files.text(EVENT_KEYS)? != event_keys(&self.keys) {
            return Err(Fault::EventKeys.into());
        }
        let open = self.pairing.conclude(self.last_iat);
        let open = open.map_err(|(index, what)| Fault::Pairing(what).at(index))?;
        let Self { checkpoint, released, disclosures, holdings, .. } = self;
        let records_under = holdings.conclude();
        Ok(Report { checkpoint, pinned: false, released, disclosures, records_under, open })
    }
}
