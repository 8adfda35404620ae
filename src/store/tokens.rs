//! Table `tokens`: sealed documents, found by the hash of what is sent; [`crate::roster`] opens them.

use super::{Connection, StoreError, column, hash32, list, parsed};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// An API token, as stored.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// SHA-256 of the token.
    pub(crate) hash: [u8; 32],
    /// What people call it by.
    pub(crate) id: Uuid,
    /// Where it counts.
    pub(crate) tenant: String,
    /// The document.
    pub(crate) sealed: Vec<u8>,
}

const COLUMNS: &str = "hash, id, tenant, sealed";

fn read(row: &AnyRow) -> Result<Row, StoreError> {
    Ok(Row {
        hash: hash32(row, "hash")?,
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        sealed: column(row, "sealed")?,
    })
}

pub(crate) async fn find(db: &mut Connection, hash: &[u8; 32]) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(&hash[..]).fetch_optional(db).await?.as_ref().map(read).transpose()
}

pub(crate) async fn of_tenant(db: &mut Connection, tenant: &str) -> Result<Vec<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE tenant = $1 ORDER BY id");
    sqlx::query(AssertSqlSafe(sql)).bind(tenant).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, row: &Row) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO tokens ({COLUMNS}) VALUES {}", list(4));
    sqlx::query(AssertSqlSafe(sql))
        .bind(&row.hash[..])
        .bind(row.id.to_string())
        .bind(&row.tenant)
        .bind(&row.sealed[..])
        .execute(db)
        .await?;
    Ok(())
}

/// `false` where there is none.
pub(crate) async fn delete(db: &mut Connection, tenant: &str, id: Uuid) -> Result<bool, StoreError> {
    let sql = "DELETE FROM tokens WHERE tenant = $1 AND id = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(id.to_string()).execute(db).await?.rows_affected() == 1)
}
