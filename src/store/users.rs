//! Table `users`: what is known of a person is in sealed documents; [`crate::directory`] opens them.

use super::{Connection, Standing, StoreError, column, list, parsed, unsigned};
use protocol::names::UserId;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// A person of a tenant, as stored.
#[derive(Debug, Clone)]
pub struct Row {
    /// Whose employee.
    pub tenant: String,
    /// As the tenant names the person.
    pub id: String,
    /// Whether any of the person's devices may act.
    pub state: Standing,
    /// Counts changes of the document, from 1; 0 once the person is erased.
    pub version: u64,
    /// The document.
    pub sealed: Vec<u8>,
    /// Unix milliseconds.
    pub created_at: i64,
}

const COLUMNS: &str = "tenant, id, state, version, sealed, created_at";

fn read(row: &AnyRow) -> Result<Row, StoreError> {
    Ok(Row {
        tenant: column(row, "tenant")?,
        id: column(row, "id")?,
        state: parsed(row, "state")?,
        version: unsigned(row, "version")?,
        sealed: column(row, "sealed")?,
        created_at: column(row, "created_at")?,
    })
}

pub(crate) async fn find(db: &mut Connection, tenant: &str, id: &str) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE tenant = $1 AND id = $2");
    sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(id).fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// Those of the tenant with these ids, each once.
pub(crate) async fn find_all(db: &mut Connection, tenant: &str, ids: &[UserId]) -> Result<Vec<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE tenant = ? AND id IN {}", list(ids.len()));
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant);
    let query = ids.iter().fold(query, |query, id| query.bind(id.as_str()));
    query.fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn page(db: &mut Connection, tenant: &str, after: &str, limit: i64) -> Result<Vec<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(after).bind(limit);
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// The ids of the tenant's users that begin so.
pub(crate) async fn beginning_with(
    db: &mut Connection,
    tenant: &str,
    prefix: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT id FROM users
               WHERE tenant = $1 AND id >= $2 AND substr(id, 1, length($2)) = $2 ORDER BY id LIMIT $3";
    let query = sqlx::query(sql).bind(tenant).bind(prefix).bind(limit);
    query.fetch_all(db).await?.iter().map(|row| column(row, "id")).collect()
}

pub(crate) async fn insert(db: &mut Connection, row: &Row) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO users ({COLUMNS}) VALUES {}", list(6));
    sqlx::query(AssertSqlSafe(sql))
        .bind(&row.tenant)
        .bind(&row.id)
        .bind(row.state.as_str())
        .bind(row.version.cast_signed())
        .bind(&row.sealed[..])
        .bind(row.created_at)
        .execute(db)
        .await?;
    Ok(())
}

/// Replaces the document of the version before this one; `false` where it is not the newest any more.
pub(crate) async fn replace(db: &mut Connection, row: &Row) -> Result<bool, StoreError> {
    let sql = "UPDATE users SET version = $1, sealed = $2 WHERE tenant = $3 AND id = $4 AND version = $5";
    let query = sqlx::query(sql)
        .bind(row.version.cast_signed())
        .bind(&row.sealed[..])
        .bind(&row.tenant)
        .bind(&row.id)
        .bind(row.version.cast_signed() - 1);
    Ok(query.execute(db).await?.rows_affected() == 1)
}

pub(crate) async fn revoke(db: &mut Connection, tenant: &str, id: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE users SET state = 'revoked' WHERE tenant = $1 AND id = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(id).execute(db).await?.rows_affected() == 1)
}
