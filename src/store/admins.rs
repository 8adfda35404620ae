//! Table `admins`: sealed documents; [`crate::roster`] opens them.

use super::{Connection, StoreError, column, list, parsed, unsigned};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A person who administers, as stored.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Made by the broker.
    pub(crate) id: Uuid,
    /// Where the person administers.
    pub(crate) tenant: String,
    /// Unique there.
    pub(crate) name: String,
    /// Counts changes.
    pub(crate) version: u64,
    /// SHA-256 of an invitation that is not used yet.
    pub(crate) invitation: Option<[u8; 32]>,
    /// The document.
    pub(crate) sealed: Vec<u8>,
}

const COLUMNS: &str = "id, tenant, name, version, invitation, sealed";

fn read(row: &AnyRow) -> Result<Row, StoreError> {
    let invitation: Option<Vec<u8>> = column(row, "invitation")?;
    let invitation = invitation.map(TryInto::try_into).transpose();
    Ok(Row {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        name: column(row, "name")?,
        version: unsigned(row, "version")?,
        invitation: invitation.map_err(|_| StoreError::Corrupt { column: "invitation" })?,
        sealed: column(row, "sealed")?,
    })
}

pub(crate) async fn find(db: &mut Connection, id: Uuid) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM admins WHERE id = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(db).await?.as_ref().map(read).transpose()
}

pub(crate) async fn invited(db: &mut Connection, invitation: &[u8; 32]) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM admins WHERE invitation = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(&invitation[..]).fetch_optional(db).await?.as_ref().map(read).transpose()
}

pub(crate) async fn of_tenant(db: &mut Connection, tenant: &str) -> Result<Vec<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM admins WHERE tenant = $1 ORDER BY name");
    sqlx::query(AssertSqlSafe(sql)).bind(tenant).fetch_all(db).await?.iter().map(read).collect()
}

/// The current version of each of these.
pub(crate) async fn versions(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<(Uuid, u64)>, StoreError> {
    let sql = format!("SELECT id, version FROM admins WHERE id IN {}", list(ids.len()));
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(|row| Ok((parsed(row, "id")?, unsigned(row, "version")?))).collect()
}

pub(crate) async fn is_name_taken(db: &mut Connection, tenant: &str, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM admins WHERE tenant = $1 AND name = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(name).fetch_optional(db).await?.is_some())
}

pub(crate) async fn insert(db: &mut Connection, row: &Row) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO admins ({COLUMNS}) VALUES {}", list(6));
    sqlx::query(AssertSqlSafe(sql))
        .bind(row.id.to_string())
        .bind(&row.tenant)
        .bind(&row.name)
        .bind(row.version.cast_signed())
        .bind(row.invitation.as_ref().map(<[u8; 32]>::as_slice))
        .bind(&row.sealed[..])
        .execute(db)
        .await?;
    Ok(())
}

/// Replaces the version before this one; `false` where it is not the newest any more.
pub(crate) async fn replace(db: &mut Connection, row: &Row) -> Result<bool, StoreError> {
    let sql = "UPDATE admins SET version = $1, invitation = $2, sealed = $3 WHERE id = $4 AND version = $5";
    let query = sqlx::query(sql)
        .bind(row.version.cast_signed())
        .bind(row.invitation.as_ref().map(<[u8; 32]>::as_slice))
        .bind(&row.sealed[..])
        .bind(row.id.to_string())
        .bind(row.version.cast_signed() - 1);
    Ok(query.execute(db).await?.rows_affected() == 1)
}
