//! Inclusion and consistency proofs: `index(8) || size(8) || hashes`.
#![no_main]

use audit::{
    Hash,
    tree::{Edge, partial_needs, tiles_for_consistency, tiles_for_inclusion, verify_consistency, verify_inclusion},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((numbers, hashes)) = data.split_first_chunk::<16>() else { return };
    let numbers = u128::from_be_bytes(*numbers);
    let (index, size) = ((numbers >> 64) as u64, numbers as u64);
    let hashes: &[Hash] = hashes.as_chunks().0;
    if let [root, other, proof @ ..] = hashes {
        inclusion((index, size), (other, root), proof);
        consistency((index, size), (other, root), proof);
    }
    let _ = (tiles_for_inclusion(index, size), tiles_for_consistency(index, size));
    rebuild(size, hashes);
});

/// A proof that proves one leaf proves no other.
fn inclusion((index, size): (u64, u64), (leaf, root): (&Hash, &Hash), proof: &[Hash]) {
    if verify_inclusion(index, size, leaf, proof, root).is_ok() {
        assert!(index < size);
        assert!(verify_inclusion(index, size, &flipped(leaf), proof, root).is_err());
    }
}

/// A proof that proves one history proves no other.
fn consistency((old, new): (u64, u64), (old_root, new_root): (&Hash, &Hash), proof: &[Hash]) {
    if verify_consistency(old, old_root, new, new_root, proof).is_ok() {
        assert!(old <= new);
        assert!(verify_consistency(old, &flipped(old_root), new, new_root, proof).is_err());
    }
}

fn flipped(hash: &Hash) -> Hash {
    let mut flipped = *hash;
    flipped[0] ^= 1;
    flipped
}

/// An edge of the hashes there are, all of them used.
fn rebuild(size: u64, hashes: &[Hash]) {
    let mut rest = hashes;
    let mut take = |count: u64| {
        let (level, after) = rest.split_at_checked(usize::try_from(count).ok()?)?;
        rest = after;
        Some(level.to_vec())
    };
    let levels: Option<Vec<_>> = partial_needs(size).into_iter().map(|need| take(need.end - need.start)).collect();
    if let Some(levels) = levels {
        let edge = Edge::rebuild(size, levels).expect("as many hashes as are needed");
        assert_eq!(edge.size(), size);
        let _ = edge.root();
    }
}
