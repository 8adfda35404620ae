//! Table `dead_letters`: pointers to events that a receiver refused for good. The events themselves are in the log.

use super::{Connection, StoreError, column, unsigned};
use sqlx::any::AnyRow;
use std::ops::Range;

/// An event that a receiver will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Whose log.
    pub tenant: String,
    /// Which sink.
    pub sink: String,
    /// The event.
    pub index: u64,
    /// Why, as a reason code.
    pub reason: String,
    /// Unix milliseconds.
    pub refused_at: i64,
}

/// How many dead letters there are of a log, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many.
    pub count: u64,
    /// The first index beyond all of them.
    pub until: u64,
}

fn read(row: &AnyRow) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        tenant: column(row, "tenant")?,
        sink: column(row, "sink")?,
        index: unsigned(row, "leaf_index")?,
        reason: column(row, "reason")?,
        refused_at: column(row, "refused_at")?,
    })
}

fn read_extent(row: &AnyRow) -> Result<Extent, StoreError> {
    let last: i64 = column(row, "last")?;
    Ok(Extent { count: unsigned(row, "letters")?, until: last.saturating_add(1).cast_unsigned() })
}

/// At most `limit` of the feed's in `range`, in the order of the log.
pub(crate) async fn within(
    db: &mut Connection,
    (tenant, sink): (&str, &str),
    range: Range<u64>,
    limit: i64,
) -> Result<Vec<DeadLetter>, StoreError> {
    let sql = "SELECT tenant, sink, leaf_index, reason, refused_at FROM dead_letters
               WHERE tenant = $1 AND sink = $2 AND leaf_index >= $3 AND leaf_index < $4 ORDER BY leaf_index LIMIT $5";
    let query = sqlx::query(sql).bind(tenant).bind(sink).bind(range.start.cast_signed());
    let end = i64::try_from(range.end).unwrap_or(i64::MAX);
    query.bind(end).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

/// What each tenant has that has any.
pub(crate) async fn extents(db: &mut Connection, sink: &str) -> Result<Vec<(String, Extent)>, StoreError> {
    let sql = "SELECT tenant, COUNT(*) AS letters, MAX(leaf_index) AS last FROM dead_letters
               WHERE sink = $1 GROUP BY tenant";
    let read = |row: &AnyRow| Ok((column(row, "tenant")?, read_extent(row)?));
    sqlx::query(sql).bind(sink).fetch_all(db).await?.iter().map(read).collect()
}

/// What the feed has.
pub(crate) async fn extent(db: &mut Connection, (tenant, sink): (&str, &str)) -> Result<Extent, StoreError> {
    let sql = "SELECT COUNT(*) AS letters, COALESCE(MAX(leaf_index), -1) AS last FROM dead_letters
               WHERE tenant = $1 AND sink = $2";
    read_extent(&sqlx::query(sql).bind(tenant).bind(sink).fetch_one(db).await?)
}

/// Keeps a dead letter; one that is there already keeps its first reason.
pub(crate) async fn insert(db: &mut Connection, letter: &DeadLetter) -> Result<(), StoreError> {
    let sql = "INSERT INTO dead_letters (tenant, sink, leaf_index, reason, refused_at) VALUES ($1,$2,$3,$4,$5)
               ON CONFLICT (tenant, sink, leaf_index) DO NOTHING";
    sqlx::query(sql)
        .bind(&letter.tenant)
        .bind(&letter.sink)
        .bind(letter.index.cast_signed())
        .bind(&letter.reason)
        .bind(letter.refused_at)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes one: the receiver has taken the event after all.
pub(crate) async fn remove(db: &mut Connection, letter: &DeadLetter) -> Result<(), StoreError> {
    let sql = "DELETE FROM dead_letters WHERE tenant = $1 AND sink = $2 AND leaf_index = $3";
    let query = sqlx::query(sql).bind(&letter.tenant).bind(&letter.sink).bind(letter.index.cast_signed());
    query.execute(db).await?;
    Ok(())
}
