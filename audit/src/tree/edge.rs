use super::proof::{TileReader, inclusion_proof};
use super::{Hash, empty_root, node_hash, perfect_root};
use crate::tile::{TileId, WIDTH};
use std::ops::Range;

/// A tile with its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// 0 for leaf hashes.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
    /// 1 to 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// What names it.
    #[must_use]
    pub fn id(&self) -> TileId {
        let width = u16::try_from(self.hashes.len()).expect("invariant: a tile has at most 256 hashes");
        TileId { level: self.level, index: self.index, width }
    }

    /// Its bytes: the hashes one after the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.hashes.as_flattened()
    }
}

/// The right edge of a growing tree: all that appending and proving recent leaves needs.
///
/// Appending costs one node hash on average and the root at most one per bit of the size. At most 255 hashes are held
/// per tile level, beside the full tiles not yet taken.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    size: u64,
    /// The roots of the perfect subtrees that make up the tree, largest first: one for each set bit of `size`.
    peaks: Vec<Hash>,
    /// The hashes of the partial tile of each level.
    partial: Vec<Vec<Hash>>,
    full: Vec<Tile>,
}

/// The hashes given do not match the size: at some level too few, too many, or none where some are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hashes are not those of the partial tiles at this size")]
pub struct InvalidEdge;

/// Which hashes [`Edge::rebuild`] needs for a tree of `size` leaves: for each tile level, from 0, the range of positions
/// within that level. The hash at position `i` of level `n` is the root over the leaves `i * 256^n .. (i + 1) * 256^n`.
#[must_use]
pub fn partial_needs(size: u64) -> Vec<Range<u64>> {
    let counts = std::iter::successors(Some(size), |count| Some(count / WIDTH)).take_while(|count| *count > 0);
    counts.map(|count| count - count % WIDTH..count).collect()
}

impl Edge {
    /// The edge of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a tree of `size` leaves from the hashes that [`partial_needs`] names, level by level.
    ///
    /// # Errors
    /// [`InvalidEdge`] when they are not as many; whether they are the right ones shows in the root.
    pub fn rebuild(size: u64, partial: Vec<Vec<Hash>>) -> Result<Self, InvalidEdge> {
        let needs = partial_needs(size);
        let fits = |(hashes, need): (&Vec<Hash>, &Range<u64>)| hashes.len() as u64 == need.end - need.start;
        if needs.len() != partial.len() || !partial.iter().zip(&needs).all(fits) {
            return Err(InvalidEdge);
        }
        let peaks = partial.iter().rev().flat_map(|hashes| peaks_of(hashes)).collect();
        Ok(Self { size, peaks, partial, full: Vec::new() })
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root (RFC 6962, section 2.1).
    #[must_use]
    pub fn root(&self) -> Hash {
        let right_to_left = self.peaks.iter().rev().copied();
        right_to_left.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Appends a leaf by its hash; its index is the size before. A tile that becomes full waits for
    /// [`Edge::take_full_tiles`].
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        self.push(0, node);
        for height in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("invariant: there is one peak for each set bit of the size");
            node = node_hash(&left, &node);
            if height % 8 == 0 {
                self.push(height as usize / 8, node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    fn push(&mut self, level: usize, hash: Hash) {
        if self.partial.len() == level {
            self.partial.push(Vec::with_capacity(256));
        }
        let hashes = &mut self.partial[level];
        hashes.push(hash);
        if hashes.len() as u64 == WIDTH {
            let hashes = std::mem::replace(hashes, Vec::with_capacity(256));
            let level = u8::try_from(level).expect("invariant: a tree of 2^64 leaves has eight levels of tiles");
            let index = self.size >> (8 * (u32::from(level) + 1));
            self.full.push(Tile { level, index, hashes });
        }
    }

    /// The tiles that became full since the last call, in the order in which they did.
    #[must_use]
    pub fn take_full_tiles(&mut self) -> Vec<Tile> {
        std::mem::take(&mut self.full)
    }

    /// The partial tiles of the tree as it stands, lowest level first.
    pub fn partial_tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        let tile = |(level, hashes): (usize, &Vec<Hash>)| Tile {
            level: u8::try_from(level).expect("invariant: a tree of 2^64 leaves has eight levels of tiles"),
            index: self.partial_index(level),
            hashes: hashes.clone(),
        };
        self.partial.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty()).map(tile)
    }

    fn partial_index(&self, level: usize) -> u64 {
        u32::try_from(8 * (level + 1)).ok().and_then(|shift| self.size.checked_shr(shift)).unwrap_or(0)
    }

    /// The inclusion proof of a leaf in the tree as it stands, when the edge still holds its tile: a leaf of the partial
    /// tile, or of one that became full and was not taken yet. `None` for older leaves: see [`inclusion_proof`].
    #[must_use]
    pub fn inclusion_of_recent(&self, index: u64) -> Option<Vec<Hash>> {
        inclusion_proof(index, self.size, self).ok()
    }
}

/// The perfect subtrees that `hashes` make up, largest first.
fn peaks_of(mut hashes: &[Hash]) -> Vec<Hash> {
    let mut peaks = Vec::new();
    while let Some(largest) = hashes.len().checked_ilog2() {
        let (left, rest) = hashes.split_at(1 << largest);
        peaks.push(perfect_root(left));
        hashes = rest;
    }
    peaks
}

impl TileReader for Edge {
    fn tile(&self, level: u8, index: u64) -> Option<&[Hash]> {
        let partial = self.partial.get(usize::from(level)).filter(|_| index == self.partial_index(level.into()));
        let full = || self.full.iter().find(|tile| (tile.level, tile.index) == (level, index));
        partial.or_else(|| full().map(|tile| &tile.hashes)).map(Vec::as_slice)
    }
}
