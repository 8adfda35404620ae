//! Table `rewraps`: jobs that bring a tenant's records under the KEKs it wants. How far one is, the wraps tell.

use super::{Connection, StoreError, column, parsed, stored_words};
use sqlx::any::AnyRow;
use uuid::Uuid;

stored_words! {
    /// Where a rewrap stands.
    RewrapState {
        /// Goes on, also after a restart.
        Running = "running",
        /// Waits to be resumed.
        Paused = "paused",
        /// No record is left; over.
        Completed = "completed",
        /// Given up; over.
        Stopped = "stopped",
    }
}

/// One rewrap.
#[derive(Debug, Clone)]
pub struct Rewrap {
    /// Made by the broker.
    pub id: Uuid,
    /// Whose records.
    pub tenant: String,
    /// Where it stands.
    pub state: RewrapState,
    /// Why it is not running any more: a reason code; empty where nothing is wrong.
    pub reason: String,
    /// Records to be wrapped anew when it began.
    pub total: u64,
    /// At most so many records a second.
    pub per_second: Option<u32>,
    /// Whether every record is opened once more at the end.
    pub verify: bool,
    /// Unix milliseconds.
    pub started_at: i64,
    /// When its state changed last.
    pub changed_at: i64,
}

fn read(row: &AnyRow) -> Result<Rewrap, StoreError> {
    let per_second: Option<i64> = column(row, "per_second")?;
    Ok(Rewrap {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        state: parsed(row, "state")?,
        reason: column(row, "reason")?,
        total: column::<i64>(row, "total")?.unsigned_abs(),
        per_second: per_second
            .map(u32::try_from)
            .transpose()
            .map_err(|_| StoreError::Corrupt { column: "per_second" })?,
        verify: column::<i64>(row, "verify")? != 0,
        started_at: column(row, "started_at")?,
        changed_at: column(row, "changed_at")?,
    })
}

pub(crate) async fn find(db: &mut Connection, tenant: &str, id: Uuid) -> Result<Option<Rewrap>, StoreError> {
    let sql = "SELECT id, tenant, state, reason, total, per_second, verify, started_at, changed_at FROM rewraps
               WHERE tenant = $1 AND id = $2";
    sqlx::query(sql).bind(tenant).bind(id.to_string()).fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// The tenant's rewrap that is not over.
pub(crate) async fn open_of(db: &mut Connection, tenant: &str) -> Result<Option<Rewrap>, StoreError> {
    let sql = "SELECT id, tenant, state, reason, total, per_second, verify, started_at, changed_at FROM rewraps
               WHERE tenant = $1 AND state IN ('running', 'paused')";
    sqlx::query(sql).bind(tenant).fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// Those that run, of any tenant.
pub(crate) async fn running(db: &mut Connection) -> Result<Vec<Rewrap>, StoreError> {
    let sql = "SELECT id, tenant, state, reason, total, per_second, verify, started_at, changed_at FROM rewraps
               WHERE state = 'running'";
    sqlx::query(sql).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn page(
    db: &mut Connection,
    tenant: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Rewrap>, StoreError> {
    let sql = "SELECT id, tenant, state, reason, total, per_second, verify, started_at, changed_at FROM rewraps
               WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
    sqlx::query(sql).bind(tenant).bind(after).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, rewrap: &Rewrap) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO rewraps (id, tenant, state, reason, total, per_second, verify, started_at, changed_at)
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)",
    )
    .bind(rewrap.id.to_string())
    .bind(&rewrap.tenant)
    .bind(rewrap.state.as_str())
    .bind(&rewrap.reason)
    .bind(rewrap.total.cast_signed())
    .bind(rewrap.per_second.map(i64::from))
    .bind(i64::from(rewrap.verify))
    .bind(rewrap.started_at)
    .bind(rewrap.changed_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Ends the rewrap of a tenant that is revoked: nothing of it may be opened any more.
pub(crate) async fn stop_of(db: &mut Connection, tenant: &str, (reason, now): (&str, i64)) -> Result<(), StoreError> {
    let sql = "UPDATE rewraps SET state = 'stopped', reason = $1, changed_at = $2
               WHERE tenant = $3 AND state IN ('running', 'paused')";
    sqlx::query(sql).bind(reason).bind(now).bind(tenant).execute(db).await?;
    Ok(())
}

/// Moves a rewrap on, if it stands where it is thought to stand.
pub(crate) async fn move_to(
    db: &mut Connection,
    id: Uuid,
    (from, to): (RewrapState, RewrapState),
    (reason, now): (&str, i64),
) -> Result<bool, StoreError> {
    let sql = "UPDATE rewraps SET state = $1, reason = $2, changed_at = $3 WHERE id = $4 AND state = $5";
    let query = sqlx::query(sql).bind(to.as_str()).bind(reason).bind(now).bind(id.to_string()).bind(from.as_str());
    Ok(query.execute(db).await?.rows_affected() == 1)
}
