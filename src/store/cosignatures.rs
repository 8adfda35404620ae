//! Table `cosignatures`: the newest checkpoint of each log that each witness has cosigned.

use super::{Connection, StoreError, column, placeholders, unsigned};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// A witness's word for a checkpoint.
#[derive(Debug, Clone)]
pub struct Cosignature {
    /// Whose log.
    pub tenant: String,
    /// The witness, as the configuration names it.
    pub witness: String,
    /// Number of leaves.
    pub size: u64,
    /// The log's signed note.
    pub checkpoint: String,
    /// The witness's signature line.
    pub line: String,
    /// By the broker's clock, in Unix milliseconds.
    pub received_at: i64,
}

fn read(row: &AnyRow) -> Result<Cosignature, StoreError> {
    Ok(Cosignature {
        tenant: column(row, "tenant")?,
        witness: column(row, "witness")?,
        size: unsigned(row, "size")?,
        checkpoint: column(row, "checkpoint")?,
        line: column(row, "line")?,
        received_at: column(row, "received_at")?,
    })
}

/// Of one log, by all witnesses; largest tree first.
pub(crate) async fn of_tenant(db: &mut Connection, tenant: &str) -> Result<Vec<Cosignature>, StoreError> {
    let sql = "SELECT tenant, witness, size, checkpoint, line, received_at FROM cosignatures
               WHERE tenant = $1 ORDER BY size DESC, witness";
    sqlx::query(sql).bind(tenant).fetch_all(db).await?.iter().map(read).collect()
}

/// By one witness, of all logs.
pub(crate) async fn of_witness(db: &mut Connection, witness: &str) -> Result<Vec<Cosignature>, StoreError> {
    let sql = "SELECT tenant, witness, size, checkpoint, line, received_at FROM cosignatures WHERE witness = $1";
    sqlx::query(sql).bind(witness).fetch_all(db).await?.iter().map(read).collect()
}

/// Replaces what was known of these logs and witnesses.
pub(crate) async fn set(db: &mut Connection, cosignatures: &[Cosignature]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO cosignatures (tenant, witness, size, checkpoint, line, received_at) VALUES {}
         ON CONFLICT (tenant, witness) DO UPDATE SET size = excluded.size, checkpoint = excluded.checkpoint,
           line = excluded.line, received_at = excluded.received_at",
        placeholders(cosignatures.len(), 6)
    );
    let query = cosignatures.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, cosignature| {
        query
            .bind(&cosignature.tenant)
            .bind(&cosignature.witness)
            .bind(cosignature.size.cast_signed())
            .bind(&cosignature.checkpoint)
            .bind(&cosignature.line)
            .bind(cosignature.received_at)
    });
    query.execute(db).await?;
    Ok(())
}
