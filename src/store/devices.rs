//! Table `devices`.

use super::tenants::Protection;
use super::{Connection, Standing, StoreError, column, hash32, list, parsed, tenants};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A device as it is stored: what it is lies in the sealed document, and the columns beside it serve to find it.
#[derive(Debug, Clone)]
pub struct Row {
    /// Made by the broker.
    pub id: Uuid,
    /// Whose.
    pub tenant: String,
    /// Whose within the tenant.
    pub user: String,
    /// SHA-256 of its public key (RFC 7638).
    pub thumbprint: [u8; 32],
    /// What was taken from it since it was enrolled.
    pub state: Standing,
    /// The document.
    pub sealed: Vec<u8>,
}

/// What a device belongs to, as far as that decides whether it may act, and how.
#[derive(Debug, Clone, Copy)]
pub struct Membership {
    /// Whether its user may act.
    pub user: Standing,
    /// Whether anything may happen for its tenant.
    pub tenant: Standing,
    /// The KEKs that wrap the tenant's records.
    pub protection: Option<Protection>,
    /// Days after enrolment in which a device without attestation may restore; `None` refuses them.
    pub unattested_days: Option<u32>,
    /// The version of the tenant's policies that is in force; `None`: the defaults.
    pub policy: Option<u64>,
    /// Whether the user's restores are stopped.
    pub locked: bool,
    /// Whether all of the tenant's are.
    pub frozen: bool,
}

const COLUMNS: &str = "id, tenant, user_id, thumbprint, state, sealed";

fn read(row: &AnyRow) -> Result<Row, StoreError> {
    Ok(Row {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        user: column(row, "user_id")?,
        thumbprint: hash32(row, "thumbprint")?,
        state: parsed(row, "state")?,
        sealed: column(row, "sealed")?,
    })
}

/// A user whose key is gone was erased, and only who is revoked is: a log that nobody can read says no more about them.
fn read_membership(row: &AnyRow) -> Result<Membership, StoreError> {
    let is_erased = column::<Option<String>>(row, "subject")?.is_none();
    Ok(Membership {
        user: if is_erased { Standing::Revoked } else { parsed(row, "user_state")? },
        tenant: parsed(row, "tenant_state")?,
        protection: tenants::protection(row)?,
        unattested_days: tenants::unattested_days(row)?,
        policy: tenants::policy(row)?,
        locked: column::<Option<i64>>(row, "locked_at")?.is_some(),
        frozen: column::<Option<i64>>(row, "frozen_at")?.is_some(),
    })
}

/// These devices, each with what it belongs to: one look at four tables.
pub(crate) async fn find_all(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<(Row, Membership)>, StoreError> {
    let sql = format!(
        "SELECT d.id, d.tenant, d.user_id, d.thumbprint, d.state, d.sealed,
           u.state AS user_state, t.state AS tenant_state, t.kek, t.second_kek, t.standby_kek,
           t.unattested_days, t.policy, s.id AS subject, l.locked_at, f.locked_at AS frozen_at
         FROM devices d JOIN users u ON u.tenant = d.tenant AND u.id = d.user_id JOIN tenants t ON t.id = d.tenant
           LEFT JOIN locks l ON l.tenant = d.tenant AND l.user_id = d.user_id
           LEFT JOIN locks f ON f.tenant = d.tenant AND f.user_id = ''
           LEFT JOIN subjects s ON s.tenant = d.tenant AND s.id = d.user_id
         WHERE d.id IN {}",
        list(ids.len())
    );
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(|row| Ok((read(row)?, read_membership(row)?))).collect()
}

pub(crate) async fn is_key_known(db: &mut Connection, tenant: &str, thumbprint: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM devices WHERE tenant = $1 AND thumbprint = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(&thumbprint[..]).fetch_optional(db).await?.is_some())
}

/// The tenant's devices after `after`, by id; only those of `user` where there is one.
pub(crate) async fn page(
    db: &mut Connection,
    (tenant, user): (&str, Option<&str>),
    (after, limit): (&str, usize),
) -> Result<Vec<Row>, StoreError> {
    let of_user = user.map_or("", |_| "AND user_id = ?");
    let sql = format!("SELECT {COLUMNS} FROM devices WHERE tenant = ? {of_user} AND id > ? ORDER BY id LIMIT ?");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant);
    let query = user.into_iter().fold(query, |query, user| query.bind(user));
    query.bind(after).bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, row: &Row) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO devices ({COLUMNS}) VALUES {}", list(6));
    sqlx::query(AssertSqlSafe(sql))
        .bind(row.id.to_string())
        .bind(&row.tenant)
        .bind(&row.user)
        .bind(&row.thumbprint[..])
        .bind(row.state.as_str())
        .bind(&row.sealed[..])
        .execute(db)
        .await?;
    Ok(())
}

/// Puts another document in place of the device's.
pub(crate) async fn replace(db: &mut Connection, row: &Row) -> Result<(), StoreError> {
    let sql = "UPDATE devices SET sealed = $1 WHERE id = $2";
    sqlx::query(sql).bind(&row.sealed[..]).bind(row.id.to_string()).execute(db).await?;
    Ok(())
}

pub(crate) async fn revoke(db: &mut Connection, tenant: &str, id: Uuid) -> Result<bool, StoreError> {
    let sql = "UPDATE devices SET state = 'revoked' WHERE tenant = $1 AND id = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(id.to_string()).execute(db).await?.rows_affected() == 1)
}
