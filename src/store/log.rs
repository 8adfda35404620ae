//! Tables `leaves`, `log_heads` and `tiles`: the database is the log.

use super::{Connection, StoreError, column, hash32, placeholders, unsigned};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use std::ops::Range;
use uuid::Uuid;

/// One leaf of a tenant's tree, with what it withholds, sealed.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Whose tree.
    pub tenant: String,
    /// Its place; contiguous from 0.
    pub index: u64,
    /// Dotted name of the event.
    pub kind: String,
    /// The bytes that were signed and hashed.
    pub text: String,
    /// Whose key seals the disclosures; `""` is the tenant itself.
    pub subject: String,
    /// The event's id; bound into the sealed disclosures.
    pub jti: String,
    /// What joins it with others.
    pub correlation: Option<Uuid>,
    /// The disclosures, sealed.
    pub disclosures: Vec<u8>,
}

/// The newest head of a tenant's tree.
#[derive(Debug, Clone)]
pub struct Head {
    /// Whose tree.
    pub tenant: String,
    /// Number of leaves.
    pub size: u64,
    /// Merkle root over them (RFC 6962).
    pub root: [u8; 32],
    /// The signed note that says so.
    pub checkpoint: String,
    /// Unix milliseconds.
    pub changed_at: i64,
}

/// A full tile of 256 hashes.
#[derive(Debug, Clone)]
pub struct Tile {
    /// Whose tree.
    pub tenant: String,
    /// 0 holds leaf hashes.
    pub level: u8,
    /// Place within the level.
    pub index: u64,
    /// 256 hashes of 32 bytes.
    pub hashes: Vec<u8>,
}

fn read_leaf(row: &AnyRow) -> Result<Leaf, StoreError> {
    Ok(Leaf {
        tenant: column(row, "tenant")?,
        index: unsigned(row, "leaf_index")?,
        kind: column(row, "kind")?,
        text: column(row, "leaf")?,
        subject: column(row, "subject")?,
        jti: column(row, "jti")?,
        correlation: column::<Option<String>>(row, "cor")?
            .map(|id| id.parse())
            .transpose()
            .map_err(|_| StoreError::Corrupt { column: "cor" })?,
        disclosures: column(row, "disclosures")?,
    })
}

/// Leaves `from..to` in order.
pub(crate) async fn leaves(db: &mut Connection, tenant: &str, from: u64, to: u64) -> Result<Vec<Leaf>, StoreError> {
    let sql = "SELECT tenant, leaf_index, kind, leaf, subject, jti, cor, disclosures FROM leaves
               WHERE tenant = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index";
    let query = sqlx::query(sql).bind(tenant).bind(from.cast_signed()).bind(to.cast_signed());
    query.fetch_all(db).await?.iter().map(read_leaf).collect()
}

/// At most `limit` leaves from `from` on that tell of findings, in order. The kind is written out for the index's sake.
pub(crate) async fn findings(
    db: &mut Connection,
    tenant: &str,
    from: u64,
    limit: i64,
) -> Result<Vec<Leaf>, StoreError> {
    let sql = "SELECT tenant, leaf_index, kind, leaf, subject, jti, cor, disclosures FROM leaves
               WHERE tenant = $1 AND leaf_index >= $2 AND kind = 'finding.raised' ORDER BY leaf_index LIMIT $3";
    let query = sqlx::query(sql).bind(tenant).bind(from.cast_signed()).bind(limit);
    query.fetch_all(db).await?.iter().map(read_leaf).collect()
}

/// At most `limit` leaves of `range` that `correlation` joins, from its beginning or from its end on.
pub(crate) async fn correlated(
    db: &mut Connection,
    (tenant, correlation): (&str, Uuid),
    range: Range<u64>,
    (newest_first, limit): (bool, i64),
) -> Result<Vec<Leaf>, StoreError> {
    let order = if newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT tenant, leaf_index, kind, leaf, subject, jti, cor, disclosures FROM leaves
         WHERE tenant = $1 AND cor = $2 AND leaf_index >= $3 AND leaf_index < $4 ORDER BY leaf_index {order} LIMIT $5"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(correlation.to_string());
    let query = query.bind(range.start.cast_signed()).bind(range.end.cast_signed()).bind(limit);
    query.fetch_all(db).await?.iter().map(read_leaf).collect()
}

/// The newest leaf that says that other policies are in force.
pub(crate) async fn newest_policy_change(db: &mut Connection, tenant: &str) -> Result<Option<Leaf>, StoreError> {
    let sql = "SELECT tenant, leaf_index, kind, leaf, subject, jti, cor, disclosures FROM leaves
               WHERE tenant = $1 AND kind = 'policy.changed' ORDER BY leaf_index DESC LIMIT 1";
    sqlx::query(sql).bind(tenant).fetch_optional(db).await?.as_ref().map(read_leaf).transpose()
}

/// The leaves that say that versions of the policies were withdrawn, newest first.
pub(crate) async fn withdrawn_policies(db: &mut Connection, tenant: &str) -> Result<Vec<Leaf>, StoreError> {
    let sql = "SELECT tenant, leaf_index, kind, leaf, subject, jti, cor, disclosures FROM leaves
               WHERE tenant = $1 AND kind = 'policy.withdrawn' ORDER BY leaf_index DESC";
    sqlx::query(sql).bind(tenant).fetch_all(db).await?.iter().map(read_leaf).collect()
}

pub(crate) async fn insert_leaves(db: &mut Connection, leaves: &[Leaf]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO leaves (tenant, leaf_index, kind, leaf, subject, jti, cor, disclosures) VALUES {}",
        placeholders(leaves.len(), 8)
    );
    let query = leaves.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, leaf| {
        query
            .bind(&leaf.tenant)
            .bind(leaf.index.cast_signed())
            .bind(&leaf.kind)
            .bind(&leaf.text)
            .bind(&leaf.subject)
            .bind(&leaf.jti)
            .bind(leaf.correlation.map(|id| id.to_string()))
            .bind(&leaf.disclosures[..])
    });
    query.execute(db).await?;
    Ok(())
}

fn read_head(row: &AnyRow) -> Result<Head, StoreError> {
    Ok(Head {
        tenant: column(row, "tenant")?,
        size: unsigned(row, "size")?,
        root: hash32(row, "root")?,
        checkpoint: column(row, "checkpoint")?,
        changed_at: column(row, "changed_at")?,
    })
}

pub(crate) async fn head(db: &mut Connection, tenant: &str) -> Result<Option<Head>, StoreError> {
    let sql = "SELECT tenant, size, root, checkpoint, changed_at FROM log_heads WHERE tenant = $1";
    sqlx::query(sql).bind(tenant).fetch_optional(db).await?.as_ref().map(read_head).transpose()
}

pub(crate) async fn heads(db: &mut Connection) -> Result<Vec<Head>, StoreError> {
    let sql = "SELECT tenant, size, root, checkpoint, changed_at FROM log_heads ORDER BY tenant";
    sqlx::query(sql).fetch_all(db).await?.iter().map(read_head).collect()
}

/// Each tenant with the number of leaves in its tree.
pub(crate) async fn sizes(db: &mut Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT tenant, size FROM log_heads ORDER BY tenant";
    let read = |row: &AnyRow| Ok((column(row, "tenant")?, unsigned(row, "size")?));
    sqlx::query(sql).fetch_all(db).await?.iter().map(read).collect()
}

/// Replaces the heads of these tenants.
pub(crate) async fn set_heads(db: &mut Connection, heads: &[Head]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO log_heads (tenant, size, root, checkpoint, changed_at) VALUES {}
         ON CONFLICT (tenant) DO UPDATE SET size = excluded.size, root = excluded.root,
           checkpoint = excluded.checkpoint, changed_at = excluded.changed_at",
        placeholders(heads.len(), 5)
    );
    let query = heads.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, head| {
        query
            .bind(&head.tenant)
            .bind(head.size.cast_signed())
            .bind(&head.root[..])
            .bind(&head.checkpoint)
            .bind(head.changed_at)
    });
    query.execute(db).await?;
    Ok(())
}

/// The full tiles among these places, in no order.
pub(crate) async fn tiles(db: &mut Connection, tenant: &str, places: &[(u8, u64)]) -> Result<Vec<Tile>, StoreError> {
    let sql = format!(
        "SELECT t.level, t.tile_index, t.hashes FROM (VALUES {}) AS asked
         JOIN tiles t ON t.tenant = ? AND t.level = asked.column1 AND t.tile_index = asked.column2",
        placeholders(places.len(), 2)
    );
    let query = places.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, (level, index)| {
        query.bind(i64::from(*level)).bind(index.cast_signed())
    });
    let read = |row: &AnyRow| {
        let level = u8::try_from(column::<i64>(row, "level")?).map_err(|_| StoreError::Corrupt { column: "level" })?;
        Ok(Tile { tenant: tenant.into(), level, index: unsigned(row, "tile_index")?, hashes: column(row, "hashes")? })
    };
    query.bind(tenant).fetch_all(db).await?.iter().map(read).collect()
}

/// Stores full tiles. A tile that is there already is the same: trees only grow.
pub(crate) async fn insert_tiles(db: &mut Connection, tiles: &[Tile]) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO tiles (tenant, level, tile_index, hashes) VALUES {}", placeholders(tiles.len(), 4));
    let query = tiles.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, tile| {
        query.bind(&tile.tenant).bind(i64::from(tile.level)).bind(tile.index.cast_signed()).bind(&tile.hashes[..])
    });
    query.execute(db).await?;
    Ok(())
}

/// The latest time that any head was written, for a clock that must not run backwards over a restart.
pub(crate) async fn latest_change(db: &mut Connection) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COALESCE(MAX(changed_at), 0) AS latest FROM log_heads").fetch_one(db).await?;
    column(&row, "latest")
}
