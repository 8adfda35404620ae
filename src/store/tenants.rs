//! Table `tenants`.

use super::{Connection, Standing, StoreError, column, parsed};
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A customer: its own users, KEKs, log and policy.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Chosen by the operator.
    pub id: String,
    /// For people.
    pub name: String,
    /// Whether anything may happen for it.
    pub state: Standing,
    /// The KEK that wraps new records.
    pub kek: Option<Uuid>,
    /// Days after enrolment in which a device without attestation may restore; `None` refuses them.
    pub unattested_days: Option<u32>,
    /// Unix milliseconds.
    pub created_at: i64,
}

pub(super) fn kek(row: &AnyRow) -> Result<Option<Uuid>, StoreError> {
    let kek: Option<String> = column(row, "kek")?;
    kek.map(|id| id.parse()).transpose().map_err(|_| StoreError::Corrupt { column: "kek" })
}

pub(super) fn unattested_days(row: &AnyRow) -> Result<Option<u32>, StoreError> {
    let days: Option<i64> = column(row, "unattested_days")?;
    days.map(u32::try_from).transpose().map_err(|_| StoreError::Corrupt { column: "unattested_days" })
}

fn read(row: &AnyRow) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        id: column(row, "id")?,
        name: column(row, "name")?,
        state: parsed(row, "state")?,
        kek: kek(row)?,
        unattested_days: unattested_days(row)?,
        created_at: column(row, "created_at")?,
    })
}

pub(crate) async fn find(db: &mut Connection, id: &str) -> Result<Option<Tenant>, StoreError> {
    let sql = "SELECT id, name, state, kek, unattested_days, created_at FROM tenants WHERE id = $1";
    sqlx::query(sql).bind(id).fetch_optional(db).await?.as_ref().map(read).transpose()
}

pub(crate) async fn page(db: &mut Connection, after: &str, limit: i64) -> Result<Vec<Tenant>, StoreError> {
    let sql =
        "SELECT id, name, state, kek, unattested_days, created_at FROM tenants WHERE id > $1 ORDER BY id LIMIT $2";
    sqlx::query(sql).bind(after).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, tenant: &Tenant) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO tenants (id, name, state, kek, unattested_days, created_at) VALUES ($1,$2,$3,$4,$5,$6)")
        .bind(&tenant.id)
        .bind(&tenant.name)
        .bind(tenant.state.as_str())
        .bind(tenant.kek.map(|id| id.to_string()))
        .bind(tenant.unattested_days.map(i64::from))
        .bind(tenant.created_at)
        .execute(db)
        .await?;
    Ok(())
}

pub(crate) async fn revoke(db: &mut Connection, id: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE tenants SET state = 'revoked' WHERE id = $1").bind(id).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn set_kek(db: &mut Connection, id: &str, kek: Uuid) -> Result<(), StoreError> {
    sqlx::query("UPDATE tenants SET kek = $1 WHERE id = $2").bind(kek.to_string()).bind(id).execute(db).await?;
    Ok(())
}
