use super::proof::{MissingTile, TileReader};
use super::{Hash, node_hash};
use crate::tile::{TileId, WIDTH};
use std::collections::HashMap;
use std::ops::Range;

/// The heights of a tree that one tile covers: it has 2^8 hashes.
const TILE_HEIGHT: u32 = 8;

/// Inclusion proofs (RFC 6962, section 2.1.1) for a run of leaves in one tree. Each inner node is computed once, so that a
/// proof costs little more than copying its hashes.
#[derive(Debug)]
pub struct Prover {
    run: Range<u64>,
    size: u64,
    tiles: HashMap<(u8, u64), Nodes>,
    /// At each height the root over what remains of the tree right of its last whole subtree of that height.
    remainders: Vec<Option<Hash>>,
}

/// The tiles that a [`Prover`] for the leaves `run` of a tree of `size` leaves reads.
#[must_use]
pub fn tiles_for_run(run: Range<u64>, size: u64) -> Vec<TileId> {
    if run.is_empty() || run.end > size {
        return Vec::new();
    }
    let levels = (0..height(size).div_ceil(TILE_HEIGHT)).flat_map(|level| {
        let shift = TILE_HEIGHT * level;
        let count = size >> shift;
        let own = (run.start >> shift) / WIDTH..=((run.end - 1) >> shift) / WIDTH;
        let edge = Some(count / WIDTH).filter(|edge| !own.contains(edge));
        own.chain(edge).filter_map(move |index| tile_id(level, index, count))
    });
    levels.collect()
}

/// The tile at `index` of a level with `count` hashes, if it has any.
fn tile_id(level: u32, index: u64, count: u64) -> Option<TileId> {
    let width = u16::try_from(count.saturating_sub(index * WIDTH).min(WIDTH)).ok().filter(|width| *width > 0)?;
    Some(TileId { level: u8::try_from(level).ok()?, index, width })
}

/// How many nodes lie between a leaf and the root of the tree, at most.
fn height(size: u64) -> u32 {
    u64::BITS - size.saturating_sub(1).leading_zeros()
}

impl Prover {
    /// A prover for the leaves `run` of the tree of `size` leaves.
    ///
    /// # Errors
    /// [`MissingTile`]; [`tiles_for_run`] names the tiles beforehand.
    pub fn new(run: Range<u64>, size: u64, tiles: &impl TileReader) -> Result<Self, MissingTile> {
        if run.end > size {
            return Err(MissingTile::BeyondSize);
        }
        let mut prover = Self { run: run.clone(), size, tiles: HashMap::new(), remainders: Vec::new() };
        for TileId { level, index, width } in tiles_for_run(run, size) {
            let hashes = tiles.tile(level, index).and_then(|hashes| hashes.get(..width.into()));
            let nodes = Nodes::above(hashes.ok_or(MissingTile::Tile { level, index })?);
            prover.tiles.insert((level, index), nodes);
        }
        // An empty run has read no tile.
        if !prover.run.is_empty() {
            prover.remainders = prover.remainders();
        }
        Ok(prover)
    }

    fn remainders(&self) -> Vec<Option<Hash>> {
        let mut remainder = None;
        let mut at_height = Vec::new();
        for height in 0..height(self.size) {
            at_height.push(remainder);
            if let Some(last) = (self.size >> height).checked_sub(1).filter(|last| last % 2 == 0) {
                let left = self.subtree(height, last);
                remainder = Some(remainder.map_or(left, |right| node_hash(&left, &right)));
            }
        }
        at_height
    }

    /// The proof of the leaf at `index`: from its sibling up to the root's child.
    ///
    /// # Errors
    /// [`MissingTile::BeyondSize`] for a leaf outside of the run.
    pub fn inclusion_proof(&self, index: u64) -> Result<Vec<Hash>, MissingTile> {
        if !self.run.contains(&index) {
            return Err(MissingTile::BeyondSize);
        }
        let siblings = (0..).zip(&self.remainders).filter_map(|(height, remainder)| {
            let sibling = (index >> height) ^ 1;
            let whole = self.size >> height;
            // Where only a part of the sibling is in the tree, that part's root stands for it; where nothing is, the node
            // itself rises.
            if sibling < whole { Some(self.subtree(height, sibling)) } else { remainder.filter(|_| sibling == whole) }
        });
        Ok(siblings.collect())
    }

    /// The root of the whole subtree at this height and position, one that the run's proofs are made of.
    fn subtree(&self, height: u32, position: u64) -> Hash {
        let within = height % TILE_HEIGHT;
        let tile = |level| self.tiles.get(&(level, position >> (TILE_HEIGHT - within)));
        let nodes = u8::try_from(height / TILE_HEIGHT).ok().and_then(tile);
        nodes.and_then(|nodes| nodes.get(within, position)).expect("invariant: each tile that a run needs was read")
    }
}

/// The hashes of a tile and all whole subtrees above them, height by height.
#[derive(Debug)]
struct Nodes(Vec<Vec<Hash>>);

impl Nodes {
    fn above(hashes: &[Hash]) -> Self {
        let parents = |below: &Vec<Hash>| {
            let (pairs, _) = below.as_chunks::<2>();
            pairs.iter().map(|[left, right]| node_hash(left, right)).collect()
        };
        let heights = std::iter::successors(Some(hashes.to_vec()), |below| Some(parents(below)));
        Self(heights.take(TILE_HEIGHT as usize).collect())
    }

    /// `position` counts over the whole tree.
    fn get(&self, height: u32, position: u64) -> Option<Hash> {
        let within = position % (WIDTH >> height);
        self.0.get(height as usize)?.get(usize::try_from(within).ok()?).copied()
    }
}
