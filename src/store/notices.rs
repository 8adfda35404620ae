//! Table `notices`: what people are to be told and were not yet. Sealed, for it has names and links.

use super::{Connection, StoreError, column, parsed, placeholders, unsigned};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A notice on its way to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedNotice {
    /// The same over retries.
    pub id: Uuid,
    /// Whose affair it is.
    pub tenant: String,
    /// Whom it is about; empty where it is about nobody.
    pub user: String,
    /// By which way it goes.
    pub channel: String,
    /// An envelope, under the broker's sealing key.
    pub sealed: Vec<u8>,
    /// Unix milliseconds; no try before.
    pub not_before: i64,
    /// Unix milliseconds.
    pub created_at: i64,
}

const COLUMNS: &str = "id, tenant, user_id, channel, sealed, not_before, created_at";

fn read(row: &AnyRow) -> Result<SealedNotice, StoreError> {
    Ok(SealedNotice {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        user: column(row, "user_id")?,
        channel: column(row, "channel")?,
        sealed: column(row, "sealed")?,
        not_before: column(row, "not_before")?,
        created_at: column(row, "created_at")?,
    })
}

/// At most `limit` that are due on this channel; those that have waited longest for their turn come first.
pub(crate) async fn due(
    db: &mut Connection,
    channel: &str,
    now: i64,
    limit: i64,
) -> Result<Vec<SealedNotice>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM notices WHERE channel = $1 AND not_before <= $2 ORDER BY not_before, id LIMIT $3"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(channel).bind(now).bind(limit);
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// The channels that something waits on.
pub(crate) async fn channels(db: &mut Connection) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query("SELECT DISTINCT channel FROM notices").fetch_all(db).await?;
    rows.iter().map(|row| column(row, "channel")).collect()
}

/// How many wait on this channel, counted up to `most`.
pub(crate) async fn count(db: &mut Connection, channel: &str, most: i64) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) AS waiting FROM (SELECT id FROM notices WHERE channel = $1 LIMIT $2) AS some";
    unsigned(&sqlx::query(sql).bind(channel).bind(most).fetch_one(db).await?, "waiting")
}

pub(crate) async fn insert_all(db: &mut Connection, notices: &[SealedNotice]) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO notices ({COLUMNS}) VALUES {}", placeholders(notices.len(), 7));
    let query = notices.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, notice| {
        query
            .bind(notice.id.to_string())
            .bind(&notice.tenant)
            .bind(&notice.user)
            .bind(&notice.channel)
            .bind(&notice.sealed[..])
            .bind(notice.not_before)
            .bind(notice.created_at)
    });
    query.execute(db).await?;
    Ok(())
}

/// The next try is not before `not_before`.
pub(crate) async fn postpone(db: &mut Connection, id: Uuid, not_before: i64) -> Result<(), StoreError> {
    let sql = "UPDATE notices SET not_before = $1 WHERE id = $2";
    sqlx::query(sql).bind(not_before).bind(id.to_string()).execute(db).await?;
    Ok(())
}

/// Removes one that was sent or given up. `false` where it is gone already.
pub(crate) async fn remove(db: &mut Connection, id: Uuid) -> Result<bool, StoreError> {
    let removed = sqlx::query("DELETE FROM notices WHERE id = $1").bind(id.to_string()).execute(db).await?;
    Ok(removed.rows_affected() == 1)
}
