//! Table `cursors`: per tenant and sink, the lowest index not yet confirmed. It may lag; it never leads.

use super::{Connection, StoreError, column};
use sqlx::any::AnyRow;

/// A log of which a sink has not confirmed everything.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Whose log.
    pub tenant: String,
    /// The lowest index not confirmed.
    pub next: u64,
    /// Number of leaves; above `next`.
    pub size: u64,
}

fn read(row: &AnyRow) -> Result<Behind, StoreError> {
    let index = |name| {
        let index: i64 = column(row, name)?;
        u64::try_from(index).map_err(|_| StoreError::Corrupt { column: name })
    };
    Ok(Behind { tenant: column(row, "tenant")?, next: index("next_index")?, size: index("size")? })
}

/// The logs that `sink` is behind of.
pub(crate) async fn behind(db: &mut Connection, sink: &str) -> Result<Vec<Behind>, StoreError> {
    let sql = "SELECT h.tenant AS tenant, COALESCE(c.next_index, 0) AS next_index, h.size AS size
               FROM log_heads h LEFT JOIN cursors c ON c.tenant = h.tenant AND c.sink = $1
               WHERE h.size > COALESCE(c.next_index, 0) ORDER BY h.tenant";
    sqlx::query(sql).bind(sink).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn advance(db: &mut Connection, tenant: &str, sink: &str, next: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO cursors (tenant, sink, next_index) VALUES ($1,$2,$3)
               ON CONFLICT (tenant, sink) DO UPDATE SET next_index = excluded.next_index";
    sqlx::query(sql).bind(tenant).bind(sink).bind(next.cast_signed()).execute(db).await?;
    Ok(())
}
