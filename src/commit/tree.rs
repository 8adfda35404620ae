//! The tenants' trees: their right edges in memory, and how a batch makes them grow.

use super::gate::Applied;
use super::{CommitError, Committed};
use crate::clock::{Timestamp, hour_of};
use crate::keys::{KeyError, Keys, TenantKeys};
use crate::store::event_counts::{self, EventCount};
use crate::store::frozen_logs;
use crate::store::log::{self, Head, Leaf, Tile};
use crate::store::{Connection, Store, StoreError};
use audit::Hash;
use audit::event::Kind;
use audit::note;
use audit::receipt::Receipt;
use audit::tree::{Edge, leaf_hash, partial_needs};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use uuid::Uuid;

/// The right edges of the trees that were written to. The database is the truth; this is what it said last.
#[derive(Default)]
pub(super) struct Forest {
    edges: HashMap<String, Edge>,
}

impl Forest {
    /// Reads the edge of the tenant's tree, where it is not known.
    pub(super) async fn learn(&mut self, store: &Store, tenant: &str, keys: &Keys) -> Result<(), CommitError> {
        if self.edges.contains_key(tenant) {
            return Ok(());
        }
        if frozen_logs::is_frozen(&mut *store.reader().await?, tenant).await? {
            return Err(CommitError::LogFrozen { tenant: tenant.into() });
        }
        self.learn_frozen(store, tenant, keys).await
    }

    /// Reads the edge of a tree that may be frozen: for the one change that thaws it.
    pub(super) async fn learn_frozen(&mut self, store: &Store, tenant: &str, keys: &Keys) -> Result<(), CommitError> {
        let edge = load(&mut *store.reader().await?, tenant, keys).await?;
        self.edges.insert(tenant.to_owned(), edge);
        Ok(())
    }

    /// The number of leaves in the tenant's tree, as far as it is known: the next leaf's index.
    pub(super) fn size(&self, tenant: &str) -> u64 {
        self.edges.get(tenant).map_or(0, Edge::size)
    }

    /// Drops what is known of one tenant's tree, to be read again.
    pub(super) fn forget_log(&mut self, tenant: &str) {
        self.edges.remove(tenant);
    }

    /// Drops what is known, to be read again: after a failed write nobody knows what the database holds.
    pub(super) fn forget(&mut self) {
        self.edges.clear();
    }
}

/// Reads the edge, and refuses one that does not lead to the head that the log key has signed: the log was altered.
async fn load(db: &mut Connection, tenant: &str, keys: &Keys) -> Result<Edge, CommitError> {
    let altered = || CommitError::LogInconsistent { tenant: tenant.into() };
    let Some(head) = log::head(db, tenant).await? else {
        let begun = !log::leaves(db, tenant, 0, 1).await?.is_empty();
        return if begun { Err(altered()) } else { Ok(Edge::new()) };
    };
    let keys = keys.of_tenant(tenant).await.map_err(|error| match error {
        KeyError::Store(error) => error.into(),
        KeyError::Root(_)
        | KeyError::Sealed(_)
        | KeyError::Document(_)
        | KeyError::Missing(_)
        | KeyError::SubjectErased
        | KeyError::Origin(_) => altered(),
    })?;
    let signed = note::open(&head.checkpoint, std::slice::from_ref(keys.log.verifier())).map_err(|_| altered())?;
    let mut partial = Vec::new();
    for (level, range) in (0_u8..).zip(partial_needs(head.size)) {
        partial.push(match level.checked_sub(1) {
            None => log::leaves(db, tenant, range.start, range.end).await?.iter().map(hash_of).collect(),
            Some(below) => tile_roots(db, tenant, below, range).await?,
        });
    }
    let edge = Edge::rebuild(head.size, partial).ok().filter(|edge| edge.root() == head.root);
    edge.filter(|edge| (edge.size(), edge.root()) == (signed.size, signed.root)).ok_or_else(altered)
}

fn hash_of(leaf: &Leaf) -> Hash {
    leaf_hash(leaf.text.as_bytes())
}

/// The roots of the full tiles `range` of `level`, as far as they are there: the hashes of the level above.
pub(crate) async fn tile_roots(
    db: &mut Connection,
    tenant: &str,
    level: u8,
    range: Range<u64>,
) -> Result<Vec<Hash>, StoreError> {
    let places: Vec<_> = range.map(|index| (level, index)).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut tiles = log::tiles(db, tenant, &places).await?;
    tiles.sort_by_key(|tile| tile.index);
    Ok(tiles.iter().map(|tile| root_of(tile.hashes.as_chunks().0)).collect())
}

fn root_of(hashes: &[Hash]) -> Hash {
    let mut tile = Edge::new();
    hashes.iter().for_each(|hash| tile.append(*hash));
    tile.root()
}

/// A leaf that has no place yet.
pub(super) struct NewLeaf {
    pub(super) tenant: String,
    pub(super) kind: Kind,
    pub(super) hash: Hash,
    pub(super) text: String,
    pub(super) subject: String,
    pub(super) jti: Uuid,
    pub(super) correlation: Option<Uuid>,
    pub(super) disclosures: Vec<u8>,
}

/// The leaves of one batch.
#[derive(Default)]
pub(super) struct Growth {
    leaves: Vec<(Kind, Leaf)>,
    touched: BTreeMap<String, Arc<TenantKeys>>,
}

impl Growth {
    /// Gives the leaf the next index of its tree; returns its place in the batch.
    pub(super) fn append(&mut self, forest: &mut Forest, keys: &Arc<TenantKeys>, leaf: NewLeaf) -> usize {
        let edge = forest.edges.entry(leaf.tenant.clone()).or_default();
        let index = edge.size();
        edge.append(leaf.hash);
        self.touched.entry(leaf.tenant.clone()).or_insert_with(|| keys.clone());
        let NewLeaf { tenant, kind, hash: _, text, subject, jti, correlation, disclosures } = leaf;
        let (name, jti) = (kind.as_str().into(), jti.to_string());
        let stored = Leaf { tenant, index, kind: name, text, subject, jti, correlation, disclosures };
        self.leaves.push((kind, stored));
        self.leaves.len() - 1
    }

    /// Writes leaves, full tiles, and a new signed head for each tree.
    pub(super) async fn flush(
        self,
        forest: &mut Forest,
        db: &mut Connection,
        now: Timestamp,
    ) -> Result<Grown, StoreError> {
        if self.leaves.is_empty() {
            return Ok(Grown::default());
        }
        let heads: Vec<Head> = self.touched.iter().map(|(tenant, keys)| head(forest, tenant, keys, now)).collect();
        let receipts = self.leaves.iter().map(|(kind, leaf)| receipt(forest, &heads, *kind, leaf)).collect();
        let tiles: Vec<Tile> = self.touched.keys().flat_map(|tenant| full_tiles(forest, tenant)).collect();
        let leaves: Vec<Leaf> = self.leaves.into_iter().map(|(_, leaf)| leaf).collect();
        log::insert_leaves(db, &leaves).await?;
        event_counts::add(db, &counts(&leaves, now)).await?;
        log::set_heads(db, &heads).await?;
        if !tiles.is_empty() {
            log::insert_tiles(db, &tiles).await?;
        }
        Ok(Grown { leaves, receipts })
    }
}

/// How many leaves of each kind each tree grew by.
fn counts(leaves: &[Leaf], now: Timestamp) -> Vec<EventCount> {
    let mut counted: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for leaf in leaves {
        *counted.entry((&leaf.tenant, &leaf.kind)).or_default() += 1;
    }
    let hour = hour_of(now);
    let count = |((tenant, kind), events): ((&str, &str), u64)| EventCount {
        tenant: tenant.into(),
        hour,
        kind: kind.into(),
        events,
    };
    counted.into_iter().map(count).collect()
}

fn head(forest: &Forest, tenant: &str, keys: &TenantKeys, now: Timestamp) -> Head {
    let edge = &forest.edges[tenant];
    let (size, root) = (edge.size(), edge.root());
    Head { tenant: tenant.into(), size, root, checkpoint: keys.log.checkpoint(size, &root), changed_at: now }
}

/// Proves a leaf that a device will want proven; the others' proofs can be had from the tiles at any time.
fn receipt(forest: &Forest, heads: &[Head], kind: Kind, leaf: &Leaf) -> Option<Receipt> {
    if !matches!(kind, Kind::RecordWrapped | Kind::RestoreReleased) {
        return None;
    }
    let proof = forest.edges[&leaf.tenant].inclusion_of_recent(leaf.index)?;
    let head = heads.iter().find(|head| head.tenant == leaf.tenant)?;
    Some(Receipt { index: leaf.index, proof, checkpoint: head.checkpoint.clone() })
}

fn full_tiles(forest: &mut Forest, tenant: &str) -> Vec<Tile> {
    let tiles = forest.edges.get_mut(tenant).map(Edge::take_full_tiles).unwrap_or_default();
    let stored = |tile: audit::tree::Tile| Tile {
        tenant: tenant.into(),
        level: tile.level,
        index: tile.index,
        hashes: tile.bytes().to_vec(),
    };
    tiles.into_iter().map(stored).collect()
}

/// A batch as it is durable: each leaf with its proof.
#[derive(Default)]
pub(super) struct Grown {
    leaves: Vec<Leaf>,
    receipts: Vec<Option<Receipt>>,
}

impl Grown {
    /// How many leaves there are.
    pub(super) fn leaves(&self) -> usize {
        self.leaves.len()
    }

    /// The answer for the change whose leaf has this place in the batch.
    pub(super) fn committed(&self, place: usize, applied: Applied) -> Committed {
        let leaf = &self.leaves[place];
        Committed { applied, leaf: leaf.text.clone(), index: leaf.index, receipt: self.receipts[place].clone() }
    }
}
