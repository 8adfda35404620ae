//! Table `frozen_logs`: logs that take no event, because a witness has seen another history of them.

use super::{Connection, StoreError, column, parsed, stored_words, unsigned};
use sqlx::any::AnyRow;

stored_words! {
    /// What a witness knows that does not fit.
    Contradiction {
        /// A larger tree: the end of the log is gone.
        Shorter = "shorter",
        /// A tree that ours does not continue.
        Forked = "forked",
    }
}

/// A log that takes no event.
#[derive(Debug, Clone)]
pub struct FrozenLog {
    /// Whose log.
    pub tenant: String,
    /// The witness, as the configuration names it.
    pub witness: String,
    /// What it knows.
    pub contradiction: Contradiction,
    /// Size of the tree that it has cosigned.
    pub witnessed_size: u64,
    /// Size of ours.
    pub size: u64,
    /// Unix milliseconds.
    pub frozen_at: i64,
}

fn read(row: &AnyRow) -> Result<FrozenLog, StoreError> {
    Ok(FrozenLog {
        tenant: column(row, "tenant")?,
        witness: column(row, "witness")?,
        contradiction: parsed(row, "contradiction")?,
        witnessed_size: unsigned(row, "witnessed_size")?,
        size: unsigned(row, "size")?,
        frozen_at: column(row, "frozen_at")?,
    })
}

/// All of them.
pub(crate) async fn all(db: &mut Connection) -> Result<Vec<FrozenLog>, StoreError> {
    let sql = "SELECT tenant, witness, contradiction, witnessed_size, size, frozen_at FROM frozen_logs ORDER BY tenant";
    sqlx::query(sql).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn is_frozen(db: &mut Connection, tenant: &str) -> Result<bool, StoreError> {
    let sql = "SELECT tenant FROM frozen_logs WHERE tenant = $1";
    Ok(sqlx::query(sql).bind(tenant).fetch_optional(db).await?.is_some())
}

/// Lets a log take events again; `false` when it was not frozen.
pub(crate) async fn delete(db: &mut Connection, tenant: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM frozen_logs WHERE tenant = $1").bind(tenant).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Freezes a log; one that is frozen stays as it is: the first contradiction tells most.
pub(crate) async fn insert(db: &mut Connection, log: &FrozenLog) -> Result<(), StoreError> {
    let sql = "INSERT INTO frozen_logs (tenant, witness, contradiction, witnessed_size, size, frozen_at)
               VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT (tenant) DO NOTHING";
    sqlx::query(sql)
        .bind(&log.tenant)
        .bind(&log.witness)
        .bind(log.contradiction.as_str())
        .bind(log.witnessed_size.cast_signed())
        .bind(log.size.cast_signed())
        .bind(log.frozen_at)
        .execute(db)
        .await?;
    Ok(())
}
