//! The Merkle tree of RFC 6962, section 2.1, laid out in tiles (C2SP tlog-tiles).

mod edge;
mod proof;
mod prover;

pub use edge::{Edge, InvalidEdge, Tile, partial_needs};
pub use proof::{
    MissingTile, ProofError, TileReader, consistency_proof, inclusion_proof, tiles_for_consistency,
    tiles_for_inclusion, verify_consistency, verify_inclusion,
};
pub use prover::{Prover, tiles_for_run};

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf: `SHA-256(0x00 || leaf)`.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    hash(&[&[0], leaf])
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

/// The root of the empty tree: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Hash {
    hash(&[])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes")
}

/// The root over `hashes`, whose number is a power of two.
fn perfect_root(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two());
    match hashes {
        [only] => *only,
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            node_hash(&perfect_root(left), &perfect_root(right))
        }
    }
}
