//! The tenant's log, as auditors read it: checkpoint, tiles, entries, events with what they disclose.

use super::admin::proposal;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::Rare;
use crate::error::Error;
use crate::keys::{KeyError, Keys};
use crate::store::cosignatures::{self, Cosignature};
use crate::store::frozen_logs::{self, FrozenLog};
use crate::store::log::{self, Head, Leaf};
use crate::store::{Connection, Store, StoreError, subjects};
use audit::Hash;
use audit::event::{Event, Kind, Outcome};
use audit::receipt::Receipt;
use audit::tile::{Path, TileId, WIDTH, push_entry};
use audit::tree::{consistency_proof, inclusion_proof, leaf_hash, tiles_for_consistency, tiles_for_inclusion};
use std::collections::HashMap;
use std::ops::Range;
use uuid::Uuid;

/// Most events that one page holds.
pub const PAGE: u64 = 1_000;

/// The newest signed checkpoint (C2SP tlog-checkpoint).
pub async fn checkpoint(broker: &Broker, tenant: &str) -> Result<String, Error> {
    Ok(head(&mut *broker.store.reader().await?, tenant).await?.checkpoint)
}

/// The newest checkpoint that a quorum of witnesses has cosigned, or where none has, the newest that any has; with the
/// cosignatures.
pub async fn witnessed(broker: &Broker, tenant: &str) -> Result<String, Error> {
    let rows = cosignatures::of_tenant(&mut *broker.store.reader().await?, tenant).await?;
    // Largest first.
    let mut checkpoints = rows.chunk_by(|one, other| one.checkpoint == other.checkpoint);
    let newest = checkpoints.clone().next().ok_or(Error::NotFound)?;
    let best = checkpoints.find(|cosigned| cosigned.len() >= broker.quorum.witnesses()).unwrap_or(newest);
    let lines = best.iter().map(|cosignature| cosignature.line.as_str());
    Ok(best.iter().take(1).map(|first| first.checkpoint.as_str()).chain(lines).collect())
}

/// Lets a frozen log take events again; the event says who wanted it, and why. Gives its index.
pub async fn thaw(broker: &Broker, admin: &AdminCaller, tenant: &str, reason: &str) -> Result<u64, Error> {
    let event = Event::new(Kind::LogThawed, Outcome::OK).reason(reason);
    Ok(broker.committer.commit_rare(proposal(tenant, admin, Rare::Thaw, event)).await?.index)
}

/// The proof that the tree of `size` leaves continues that of `old` (RFC 6962, section 2.1.2); empty where none is needed.
pub async fn consistency(broker: &Broker, tenant: &str, old: u64, size: u64) -> Result<Vec<Hash>, Error> {
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    let tiles = tiles(&mut *broker.store.reader().await?, tenant, tiles_for_consistency(old, size)).await?;
    consistency_proof(old, size, &tiles).map_err(|_| corrupt())
}

/// A tile or an entry bundle (C2SP tlog-tiles), full or as wide as the path says.
pub async fn resource(broker: &Broker, tenant: &str, path: &str) -> Result<Vec<u8>, Error> {
    let path: Path = path.parse().map_err(|_| Error::NotFound)?;
    let mut db = broker.store.reader().await?;
    let size = head(&mut db, tenant).await?.size;
    match path {
        Path::Tile(id) => {
            let hashes = tile(&mut db, tenant, id).await?;
            Ok(hashes.as_flattened().to_vec())
        }
        Path::Entries { index, width } => {
            let from = index.checked_mul(WIDTH).ok_or(Error::NotFound)?;
            let to = from.checked_add(width.into()).filter(|to| *to <= size).ok_or(Error::NotFound)?;
            let leaves = log::leaves(&mut db, tenant, from, to).await?;
            let mut bundle = Vec::new();
            for leaf in &leaves {
                push_entry(&mut bundle, leaf.text.as_bytes()).map_err(|_| corrupt())?;
            }
            Ok(bundle)
        }
    }
}

async fn head(db: &mut Connection, tenant: &str) -> Result<Head, Error> {
    log::head(db, tenant).await?.ok_or(Error::NotFound)
}

/// The hashes of one tile: stored where it is full, else made from the leaves or the tiles below.
pub(crate) async fn tile(db: &mut Connection, tenant: &str, id: TileId) -> Result<Vec<Hash>, Error> {
    if let Some(stored) = log::tiles(db, tenant, &[(id.level, id.index)]).await?.pop() {
        let hashes: &[Hash] = stored.hashes.as_chunks().0;
        return Ok(hashes.get(..id.width.into()).ok_or(Error::NotFound)?.to_vec());
    }
    let from = id.index.checked_mul(WIDTH).ok_or(Error::NotFound)?;
    let range = from..from.checked_add(id.width.into()).ok_or(Error::NotFound)?;
    let hashes: Vec<Hash> = match id.level.checked_sub(1) {
        None => {
            let leaves = log::leaves(db, tenant, range.start, range.end).await?;
            leaves.iter().map(|leaf| leaf_hash(leaf.text.as_bytes())).collect()
        }
        Some(below) => crate::commit::tile_roots(db, tenant, below, range).await?,
    };
    if hashes.len() == usize::from(id.width) { Ok(hashes) } else { Err(Error::NotFound) }
}

/// Tiles, as proofs look them up.
async fn tiles(db: &mut Connection, tenant: &str, ids: Vec<TileId>) -> Result<HashMap<(u8, u64), Vec<Hash>>, Error> {
    let mut tiles = HashMap::new();
    for id in ids {
        tiles.insert((id.level, id.index), tile(db, tenant, id).await?);
    }
    Ok(tiles)
}

/// An older leaf, proven against the newest checkpoint: the receipt (C2SP tlog-proof) and the leaf.
pub async fn receipt(broker: &Broker, tenant: &str, index: u64) -> Result<(String, String), Error> {
    let mut db = broker.store.reader().await?;
    let head = head(&mut db, tenant).await?;
    let tiles = tiles(&mut db, tenant, tiles_for_inclusion(index, head.size)).await?;
    let proof = inclusion_proof(index, head.size, &tiles).map_err(|_| corrupt())?;
    let leaf = log::leaves(&mut db, tenant, index, index + 1).await?.pop().ok_or_else(corrupt)?;
    Ok((Receipt { index, proof, checkpoint: head.checkpoint }.to_text(), leaf.text))
}

fn corrupt() -> Error {
    StoreError::Corrupt { column: "leaf_index" }.into()
}

/// An event, with what may be disclosed of it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the log.
    pub index: u64,
    /// The signed leaf.
    pub leaf: String,
    /// What the leaf withholds; empty when the person was erased.
    pub disclosures: Vec<String>,
    /// The `cor` of the `subject.erased` by which nobody can disclose it any more.
    pub erased: Option<Uuid>,
}

/// The events of this range, by readers of `store`, with their disclosures where the person was not erased.
pub async fn events_in(keys: &Keys, store: &Store, tenant: &str, range: Range<u64>) -> Result<Vec<Entry>, Error> {
    let leaves = log::leaves(&mut *store.reader().await?, tenant, range.start, range.end).await?;
    let mut entries = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        entries.push(open(keys, store, leaf).await?);
    }
    Ok(entries)
}

/// The event of a leaf; its person's key is read from `store`.
pub async fn open(keys: &Keys, store: &Store, leaf: Leaf) -> Result<Entry, Error> {
    let disclosures = match keys.of_subject_in(store, &leaf.tenant, &leaf.subject).await {
        Ok(key) => {
            let jti = leaf.jti.parse().map_err(|_| StoreError::Corrupt { column: "jti" })?;
            key.open(jti, &leaf.disclosures).map_err(|_| StoreError::Corrupt { column: "disclosures" })?
        }
        Err(KeyError::SubjectErased) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Entry { index: leaf.index, leaf: leaf.text, disclosures, erased: subjects::erasure(&leaf.subject) })
}

/// How a tenant's log stands.
#[derive(Debug)]
pub struct Standing {
    /// Its name.
    pub origin: String,
    /// The key that its checkpoints are verified with.
    pub vkey: String,
    /// Its newest head.
    pub head: Head,
    /// Why it takes no event, where it is frozen.
    pub frozen: Option<FrozenLog>,
    /// The newest cosignature of each witness.
    pub cosignatures: Vec<Cosignature>,
}

/// How the log stands.
pub async fn standing(broker: &Broker, tenant: &str) -> Result<Standing, Error> {
    let mut db = broker.store.reader().await?;
    let head = head(&mut db, tenant).await?;
    let frozen = frozen_logs::all(&mut db).await?.into_iter().find(|frozen| frozen.tenant == tenant);
    let cosignatures = cosignatures::of_tenant(&mut db, tenant).await?;
    drop(db);
    let vkey = broker.keys.of_tenant(tenant).await?.log.vkey();
    Ok(Standing { origin: broker.keys.origin(tenant)?.to_string(), vkey, head, frozen, cosignatures })
}

/// One event, with its receipt (C2SP tlog-proof) under the newest checkpoint.
pub async fn event(broker: &Broker, tenant: &str, index: u64) -> Result<(Entry, String), Error> {
    let mut db = broker.store.reader().await?;
    if index >= head(&mut db, tenant).await?.size {
        return Err(Error::NotFound);
    }
    let leaf = log::leaves(&mut db, tenant, index, index + 1).await?.pop().ok_or_else(corrupt)?;
    drop(db);
    let (receipt, _) = receipt(broker, tenant, index).await?;
    Ok((open(&broker.keys, &broker.store, leaf).await?, receipt))
}
