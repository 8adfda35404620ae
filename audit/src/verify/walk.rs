use super::files::{Files, Lines};
use super::history::{History, Told};
use super::{Failure, Fault, Report};
use crate::Hash;
use crate::export::{EVENT_KEYS, EVENTS, event_keys};
use crate::leaf::{LeafError, Opened};
use crate::line::line;
use crate::note::Checkpoint;
use crate::tile::{self, TileId, WIDTH};
use crate::tree::{Edge, Tile, leaf_hash};
use serde::Deserialize;
use uuid::Uuid;

/// One pass over a log, from its first event to its last.
pub(super) struct Walk<'a> {
    files: &'a Files<'a>,
    checkpoint: Checkpoint,
    older: Option<Checkpoint>,
    lines: Lines,
    edge: Edge,
    history: History,
    disclosures: u64,
}

/// Of a line only this is read; everything else in it must follow.
#[derive(Deserialize)]
struct Shown {
    disclosures: Vec<String>,
    erased: Option<Uuid>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        files: &'a Files<'a>,
        checkpoint: Checkpoint,
        older: Option<Checkpoint>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            files,
            history: History::of(checkpoint.origin.clone()),
            checkpoint,
            older,
            lines: files.lines(EVENTS)?,
            edge: Edge::new(),
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
        let Shown { disclosures, erased } = serde_json::from_slice(&shown).map_err(|_| Fault::Line)?;
        let opened = Opened { erased, ..self.history.open(index, leaf, &disclosures)? };
        if shown.strip_suffix(b"\n") != Some(&*line(index, &opened, leaf, &disclosures, None)) {
            return Err(Fault::Line);
        }
        self.history.observe(index, &opened)?;
        self.disclosures += disclosures.len() as u64;
        self.edge.append(hash);
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
        if self.files.text(EVENT_KEYS)? != event_keys(self.history.keys()) {
            return Err(Fault::EventKeys.into());
        }
        let Self { checkpoint, history, disclosures, .. } = self;
        let Told { released, records_under, open, erasures } = history.conclude()?;
        Ok(Report {
            checkpoint,
            pinned: false,
            cosignatures: Vec::new(),
            released,
            disclosures,
            records_under,
            open,
            erasures,
        })
    }
}
