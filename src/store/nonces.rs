//! Table `nonces`: the spent ones, until they would have expired anyway.

use super::{Connection, StoreError, column, placeholders};
use sqlx::AssertSqlSafe;
use std::collections::HashSet;

/// The random part of a nonce and the unix milliseconds of its expiry.
pub type SpentNonce = ([u8; 16], i64);

/// Spends these nonces, each named once; gives those that were not spent before.
pub(crate) async fn spend(db: &mut Connection, nonces: &[SpentNonce]) -> Result<HashSet<[u8; 16]>, StoreError> {
    let sql = format!(
        "INSERT INTO nonces (nonce, expires_at) VALUES {} ON CONFLICT (nonce) DO NOTHING RETURNING nonce",
        placeholders(nonces.len(), 2)
    );
    let query =
        nonces.iter().fold(sqlx::query(AssertSqlSafe(sql)), |q, (nonce, expiry)| q.bind(&nonce[..]).bind(*expiry));
    let rows = query.fetch_all(db).await?;
    rows.iter()
        .map(|row| column::<Vec<u8>>(row, "nonce")?.try_into().map_err(|_| StoreError::Corrupt { column: "nonce" }))
        .collect()
}

pub(crate) async fn forget_expired(db: &mut Connection, now: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM nonces WHERE expires_at < $1").bind(now).execute(db).await?;
    Ok(())
}
