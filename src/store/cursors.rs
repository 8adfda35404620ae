//! Table `cursors`: per tenant and sink, the lowest index not yet confirmed. It may lag; it never leads.

use super::{Connection, StoreError, column};

pub(crate) async fn next_index(db: &mut Connection, tenant: &str, sink: &str) -> Result<u64, StoreError> {
    let sql = "SELECT next_index FROM cursors WHERE tenant = $1 AND sink = $2";
    let row = sqlx::query(sql).bind(tenant).bind(sink).fetch_optional(db).await?;
    let next: i64 = row.map(|row| column(&row, "next_index")).transpose()?.unwrap_or(0);
    u64::try_from(next).map_err(|_| StoreError::Corrupt { column: "next_index" })
}

pub(crate) async fn advance(db: &mut Connection, tenant: &str, sink: &str, next: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO cursors (tenant, sink, next_index) VALUES ($1,$2,$3)
               ON CONFLICT (tenant, sink) DO UPDATE SET next_index = excluded.next_index";
    sqlx::query(sql).bind(tenant).bind(sink).bind(next.cast_signed()).execute(db).await?;
    Ok(())
}
