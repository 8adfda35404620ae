//! The tree against the known answers of RFC 6962's reference implementation and against `tlog_tiles`.

use keyfold_audit::Hash;
use keyfold_audit::tile::TileId;
use keyfold_audit::tree::{
    Edge, MissingTile, ProofError, Prover, Tile, TileReader, consistency_proof, empty_root, inclusion_proof, leaf_hash,
    partial_needs, tiles_for_consistency, tiles_for_inclusion, tiles_for_run, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use std::collections::HashMap;
use tlog_tiles::tlog;

/// Leaves and roots of sizes 1 to 8 that the reference implementations of RFC 6962 test with.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn roots_are_those_of_the_reference() {
    let mut edge = Edge::new();
    assert_eq!(hex::encode(edge.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (leaf, root) in LEAVES.iter().zip(ROOTS) {
        edge.append(leaf_hash(&hex::decode(leaf).unwrap()));
        assert_eq!(hex::encode(edge.root()), root);
    }
}

/// The other implementation's tree, grown beside ours.
#[derive(Default)]
struct Oracle(Vec<tlog::Hash>);

impl tlog::HashReader for Oracle {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

impl Oracle {
    fn root(&self, size: u64) -> Hash {
        tlog::tree_hash(size, self).unwrap().0
    }
}

fn data(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

fn grow(size: u64) -> (Edge, HashMap<(u8, u64), Vec<Hash>>, Oracle) {
    let (mut edge, mut tiles, mut oracle) = (Edge::new(), HashMap::new(), Oracle::default());
    for index in 0..size {
        edge.append(leaf_hash(&data(index)));
        oracle.0.extend(tlog::stored_hashes(index, &data(index), &oracle).unwrap());
        for Tile { level, index, hashes } in edge.take_full_tiles() {
            assert_eq!(hashes.len(), 256);
            assert!(tiles.insert((level, index), hashes).is_none());
        }
    }
    tiles.extend(edge.partial_tiles().map(|tile| ((tile.level, tile.index), tile.hashes)));
    (edge, tiles, oracle)
}

/// Gives only the tiles named beforehand, and only as wide as named.
struct Only<'a>(&'a HashMap<(u8, u64), Vec<Hash>>, Vec<TileId>);

impl TileReader for Only<'_> {
    fn tile(&self, level: u8, index: u64) -> Option<&[Hash]> {
        let id = self.1.iter().find(|id| (id.level, id.index) == (level, index))?;
        self.0.get(&(level, index))?.get(..id.width.into())
    }
}

fn theirs(proof: &[Hash]) -> Vec<tlog::Hash> {
    proof.iter().map(|hash| tlog::Hash(*hash)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn proofs_are_those_of_the_oracle(size in prop_oneof![20 => 1u64..600, 1 => 65_400u64..66_200], at in any::<u64>(), from in any::<u64>()) {
        let (edge, tiles, oracle) = grow(size);
        let (index, old) = (at % size, 1 + from % size);
        let root = edge.root();
        prop_assert_eq!(root, oracle.root(size));

        let inclusion = inclusion_proof(index, size, &Only(&tiles, tiles_for_inclusion(index, size))).unwrap();
        prop_assert_eq!(theirs(&inclusion), tlog::prove_record(size, index, &oracle).unwrap());
        prop_assert_eq!(verify_inclusion(index, size, &leaf_hash(&data(index)), &inclusion, &root), Ok(()));

        let consistency = consistency_proof(old, size, &Only(&tiles, tiles_for_consistency(old, size))).unwrap();
        prop_assert_eq!(theirs(&consistency), tlog::prove_tree(size, old, &oracle).unwrap());
        prop_assert_eq!(verify_consistency(old, &oracle.root(old), size, &root, &consistency), Ok(()));
    }

    #[test]
    fn a_run_is_proved_as_each_of_its_leaves(size in prop_oneof![20 => 1u64..1100, 1 => 65_400u64..66_200], at in any::<u64>(), len in 0u64..600) {
        let (edge, tiles, oracle) = grow(size);
        let from = at % size;
        let run = from..(from + len).min(size);
        let needs = tiles_for_run(run.clone(), size);
        let prover = Prover::new(run.clone(), size, &Only(&tiles, needs.clone())).unwrap();
        for index in run.clone().step_by(7) {
            let proof = prover.inclusion_proof(index).unwrap();
            prop_assert_eq!(verify_inclusion(index, size, &leaf_hash(&data(index)), &proof, &edge.root()), Ok(()));
            prop_assert_eq!(proof, inclusion_proof(index, size, &tiles).unwrap());
        }
        if let Some(index) = run.clone().last() {
            prop_assert_eq!(theirs(&prover.inclusion_proof(index).unwrap()), tlog::prove_record(size, index, &oracle).unwrap());
        }
        for missing in 0..needs.len() {
            let mut others = needs.clone();
            let TileId { level, index, .. } = others.remove(missing);
            let refused = Prover::new(run.clone(), size, &Only(&tiles, others)).err();
            prop_assert_eq!(refused, Some(MissingTile::Tile { level, index }));
        }
        prop_assert_eq!(prover.inclusion_proof(run.end).err(), Some(MissingTile::BeyondSize));
    }

    #[test]
    fn what_the_oracle_refuses_is_refused(size in 1u64..300, at in any::<u64>(), from in any::<u64>(), wrong in any::<(u8, u8, u64)>()) {
        let (edge, tiles, oracle) = grow(size);
        let (index, old, root) = (at % size, 1 + from % size, edge.root());
        let damage = |mut proof: Vec<Hash>| {
            match wrong.0 % 4 {
                0 => proof.push([0; 32]),
                1 => drop(proof.pop()),
                2 => if let Some(hash) = proof.first_mut() { hash[usize::from(wrong.1 % 32)] ^= 1 },
                _ => {}
            }
            proof
        };
        let inclusion = damage(inclusion_proof(index, size, &tiles).unwrap());
        let at = if wrong.0 % 8 == 3 { wrong.2 % (size + 2) } else { index };
        let leaf = leaf_hash(&data(index));
        prop_assert_eq!(
            verify_inclusion(at, size, &leaf, &inclusion, &root).is_ok(),
            tlog::check_record(&theirs(&inclusion), size, tlog::Hash(root), at, tlog::Hash(leaf)).is_ok()
        );
        let consistency = damage(consistency_proof(old, size, &tiles).unwrap());
        let old_root = oracle.root(if wrong.0 % 8 == 7 { 1 + wrong.2 % size } else { old });
        prop_assert_eq!(
            verify_consistency(old, &old_root, size, &root, &consistency).is_ok(),
            tlog::check_tree(&theirs(&consistency), size, tlog::Hash(root), old, tlog::Hash(old_root)).is_ok()
        );
    }

    #[test]
    fn a_rebuilt_edge_goes_on_like_the_one_it_replaces(size in prop_oneof![20 => 0u64..1000, 1 => 65_400u64..65_700], more in 1u64..600) {
        let (mut edge, tiles, _) = grow(size);
        let needs = |level: usize, at: u64| tiles[&(u8::try_from(level).unwrap(), at / 256)][usize::try_from(at % 256).unwrap()];
        let partial = partial_needs(size).into_iter().enumerate().map(|(level, range)| range.map(|at| needs(level, at)).collect());
        let mut rebuilt = Edge::rebuild(size, partial.collect()).unwrap();
        prop_assert_eq!(rebuilt.root(), edge.root());
        for index in size..size + more {
            edge.append(leaf_hash(&data(index)));
            rebuilt.append(leaf_hash(&data(index)));
        }
        prop_assert_eq!((rebuilt.size(), rebuilt.root()), (size + more, edge.root()));
        prop_assert_eq!(rebuilt.take_full_tiles(), edge.take_full_tiles());
    }

    #[test]
    fn the_edge_alone_proves_recent_leaves(size in prop_oneof![20 => 0u64..1100, 1 => 65_400u64..65_600], batch in 1u64..=256) {
        let (mut edge, _, _) = grow(size);
        (size..size + batch).for_each(|index| edge.append(leaf_hash(&data(index))));
        for index in size..size + batch {
            let proof = edge.inclusion_of_recent(index).unwrap();
            prop_assert_eq!(verify_inclusion(index, size + batch, &leaf_hash(&data(index)), &proof, &edge.root()), Ok(()));
        }
    }
}

#[test]
fn nothing_is_proved_beyond_the_tree_or_without_tiles() {
    let (edge, tiles, _) = grow(300);
    assert_eq!(inclusion_proof(300, 300, &tiles), Err(MissingTile::BeyondSize));
    assert_eq!(consistency_proof(301, 300, &tiles), Err(MissingTile::BeyondSize));
    assert_eq!(consistency_proof(0, 300, &tiles), Err(MissingTile::BeyondSize));
    assert_eq!(inclusion_proof(5, 300, &HashMap::new()), Err(MissingTile::Tile { level: 0, index: 0 }));
    assert_eq!(edge.inclusion_of_recent(5), None);
    assert_eq!(Prover::new(299..301, 300, &tiles).err(), Some(MissingTile::BeyondSize));
    assert_eq!(Prover::new(7..7, 300, &tiles).unwrap().inclusion_proof(7), Err(MissingTile::BeyondSize));
    assert_eq!(verify_inclusion(300, 300, &[0; 32], &[], &edge.root()), Err(ProofError::BeyondSize));
    assert_eq!(verify_consistency(0, &empty_root(), 300, &edge.root(), &[]), Ok(()));
    assert_eq!(verify_consistency(0, &[0; 32], 300, &edge.root(), &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(301, &edge.root(), 300, &edge.root(), &[]), Err(ProofError::BeyondSize));
    assert!(Edge::rebuild(300, vec![vec![[0; 32]; 43], vec![[0; 32]]]).is_err());
}
