use super::{Hash, empty_root, node_hash, perfect_root};
use crate::tile::{TileId, WIDTH};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Where a proof finds its tiles.
pub trait TileReader {
    /// The hashes of a tile, at least as many as the tree's size gives it; `None` when it is not there.
    fn tile(&self, level: u8, index: u64) -> Option<&[Hash]>;
}

impl TileReader for HashMap<(u8, u64), Vec<Hash>> {
    fn tile(&self, level: u8, index: u64) -> Option<&[Hash]> {
        self.get(&(level, index)).map(Vec::as_slice)
    }
}

/// Why no proof was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MissingTile {
    /// The index is not below the size, or the older size not between 1 and the newer.
    #[error("no such proof: the tree is smaller than what is asked about")]
    BeyondSize,
    /// The reader does not have a tile, or not all its hashes.
    #[error("tile {index} of level {level} is missing or too short")]
    Tile {
        /// The tile's level.
        level: u8,
        /// The tile's position.
        index: u64,
    },
}

/// Why a proof does not prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not below the size, or the older size is above the newer.
    #[error("the index or the older size is beyond the tree")]
    BeyondSize,
    /// Too few or too many hashes.
    #[error("the proof has another length than one for this tree")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The inclusion proof of the leaf at `index` in the tree of `size` leaves (RFC 6962, section 2.1.1): from the leaf's
/// sibling up to the root's child.
///
/// # Errors
/// [`MissingTile`]; [`tiles_for_inclusion`] names the tiles beforehand.
pub fn inclusion_proof(index: u64, size: u64, tiles: &impl TileReader) -> Result<Vec<Hash>, MissingTile> {
    inclusion_path(index, size).ok_or(MissingTile::BeyondSize)?.into_iter().map(|range| root_of(range, tiles)).collect()
}

/// The consistency proof between the trees of `old` and `new` leaves (RFC 6962, section 2.1.2).
///
/// # Errors
/// [`MissingTile`]; [`tiles_for_consistency`] names the tiles beforehand.
pub fn consistency_proof(old: u64, new: u64, tiles: &impl TileReader) -> Result<Vec<Hash>, MissingTile> {
    consistency_path(old, new).ok_or(MissingTile::BeyondSize)?.into_iter().map(|range| root_of(range, tiles)).collect()
}

/// The tiles that [`inclusion_proof`] reads; none when the index is not below the size.
#[must_use]
pub fn tiles_for_inclusion(index: u64, size: u64) -> Vec<TileId> {
    tiles_for(inclusion_path(index, size).unwrap_or_default(), size)
}

/// The tiles that [`consistency_proof`] reads; none when there is no such proof.
#[must_use]
pub fn tiles_for_consistency(old: u64, new: u64) -> Vec<TileId> {
    tiles_for(consistency_path(old, new).unwrap_or_default(), new)
}

/// The leaves under each hash of an inclusion proof (PATH of RFC 6962).
fn inclusion_path(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    let mut subtree = 0..size;
    let mut path = Vec::new();
    if index >= size {
        return None;
    }
    while subtree.end - subtree.start > 1 {
        let (left, right) = split(&subtree);
        let (inside, sibling) = if index < left.end { (left, right) } else { (right, left) };
        path.push(sibling);
        subtree = inside;
    }
    path.reverse();
    Some(path)
}

/// The leaves under each hash of a consistency proof (PROOF and SUBPROOF of RFC 6962).
fn consistency_path(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    let mut subtree = 0..new;
    let mut path = Vec::new();
    if old == 0 || old > new {
        return None;
    }
    while old < subtree.end {
        let (left, right) = split(&subtree);
        let (inside, sibling) = if old <= left.end { (left, right) } else { (right, left) };
        path.push(sibling);
        subtree = inside;
    }
    // A subtree that starts at 0 is the older tree itself, whose root the verifier has.
    if subtree.start > 0 {
        path.push(subtree);
    }
    path.reverse();
    Some(path)
}

/// Splits at the largest power of two below the length, which is at least 2.
fn split(range: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let middle = range.start + (1 << (range.end - range.start - 1).ilog2());
    (range.start..middle, middle..range.end)
}

/// The perfect subtrees of a range that starts where a proof's ranges start, from left to right.
fn perfect_parts(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let next = move |rest: &mut Range<u64>| {
        let height = (rest.end - rest.start).checked_ilog2()?;
        let part = rest.start..rest.start + (1 << height);
        rest.start = part.end;
        Some(part)
    };
    let mut rest = range;
    std::iter::from_fn(move || next(&mut rest))
}

/// A perfect subtree lies in one tile: its level and index, and the positions in it.
fn place(part: &Range<u64>) -> (u8, u64, Range<usize>) {
    let height = (part.end - part.start).ilog2();
    let level = height / 8;
    let (first, count) = (part.start >> (8 * level), 1 << (height % 8));
    let start = usize::try_from(first % WIDTH).expect("invariant: a position in a tile is below 256");
    (u8::try_from(level).expect("invariant: levels are below 8"), first / WIDTH, start..start + count)
}

fn root_of(range: Range<u64>, tiles: &impl TileReader) -> Result<Hash, MissingTile> {
    let mut parts = Vec::new();
    for part in perfect_parts(range) {
        let (level, index, within) = place(&part);
        let hashes = tiles.tile(level, index).and_then(|hashes| hashes.get(within));
        parts.push(perfect_root(hashes.ok_or(MissingTile::Tile { level, index })?));
    }
    let root = parts.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    Ok(root.expect("invariant: no range of a proof is empty"))
}

fn tiles_for(path: Vec<Range<u64>>, size: u64) -> Vec<TileId> {
    let places = path.into_iter().flat_map(perfect_parts).map(|part| place(&part));
    let tiles: BTreeSet<_> = places.map(|(level, index, _)| (level, index)).collect();
    let width = |level: u8, index: u64| ((size >> (8 * u32::from(level))) - index * WIDTH).min(WIDTH);
    let id = |(level, index)| {
        let width = u16::try_from(width(level, index)).expect("invariant: a width is at most 256");
        TileId { level, index, width }
    };
    tiles.into_iter().map(id).collect()
}

/// Checks that the leaf hash is at `index` of the tree with `size` leaves and `root` (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::BeyondSize);
    }
    let mut climb = Climb { at: index, last: size - 1 };
    let mut node = *leaf;
    for hash in proof {
        node = if climb.step()? == Side::Left { node_hash(hash, &node) } else { node_hash(&node, hash) };
    }
    conclude(climb.last == 0, node == *root)
}

/// Checks that the tree with `new` leaves and `new_root` begins with the one of `old` leaves and `old_root` (RFC 9162,
/// section 2.1.4.2). The empty tree begins every tree, with no hash as proof.
///
/// # Errors
/// [`ProofError`].
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    match old {
        old if old > new => return Err(ProofError::BeyondSize),
        old if old == new => return conclude(proof.is_empty(), old_root == new_root),
        0 => return conclude(proof.is_empty(), *old_root == empty_root()),
        _ => {}
    }
    // The path starts at the older tree's last perfect subtree: all of it when its size is a power of two.
    let (start, path) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(ProofError::Length)? };
    let skipped = (old - 1).trailing_ones();
    let mut climb = Climb { at: (old - 1) >> skipped, last: (new - 1) >> skipped };
    let (mut old_node, mut new_node) = (*start, *start);
    for hash in path {
        if climb.step()? == Side::Left {
            (old_node, new_node) = (node_hash(hash, &old_node), node_hash(hash, &new_node));
        } else {
            new_node = node_hash(&new_node, hash);
        }
    }
    conclude(climb.last == 0, old_node == *old_root && new_node == *new_root)
}

/// The way of a proof from a node to the root: the node's position and the last one, at the present height.
struct Climb {
    at: u64,
    last: u64,
}

/// On which side of the node its sibling is.
#[derive(PartialEq)]
enum Side {
    Left,
    Right,
}

impl Climb {
    /// Goes up to the next parent; a proof that goes on above the root has the wrong length.
    fn step(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::Length);
        }
        let side = if self.at & 1 == 1 || self.at == self.last { Side::Left } else { Side::Right };
        // On the right edge a node without sibling stands for its parents until it is a right child.
        let skipped = if side == Side::Left { self.at.trailing_zeros() } else { 0 };
        (self.at, self.last) = (self.at >> skipped >> 1, self.last >> skipped >> 1);
        Ok(side)
    }
}

fn conclude(length: bool, root: bool) -> Result<(), ProofError> {
    match (length, root) {
        (false, _) => Err(ProofError::Length),
        (true, false) => Err(ProofError::Root),
        (true, true) => Ok(()),
    }
}
