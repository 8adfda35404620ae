//! Table `passkey_counters`.

use super::{Connection, StoreError, column};

/// Stands for a passkey that exists twice. Higher than any counter: what signs after it counts back.
pub(crate) const COPIED: u32 = u32::MAX;

/// The last count of this credential; `None` where it never signed.
pub(crate) async fn find(db: &mut Connection, credential: &str) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT counter FROM passkey_counters WHERE credential = $1";
    let row = sqlx::query(sql).bind(credential).fetch_optional(db).await?;
    let counter = row.map(|row| column::<i64>(&row, "counter")).transpose()?;
    counter.map(|counter| u32::try_from(counter).map_err(|_| StoreError::Corrupt { column: "counter" })).transpose()
}

/// Keeps a count, unless a higher one is there.
pub(crate) async fn set(db: &mut Connection, credential: &str, counter: u32) -> Result<(), StoreError> {
    let sql = "INSERT INTO passkey_counters (credential, counter) VALUES ($1,$2)
               ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter
               WHERE passkey_counters.counter < excluded.counter";
    sqlx::query(sql).bind(credential).bind(i64::from(counter)).execute(db).await?;
    Ok(())
}
