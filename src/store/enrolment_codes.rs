//! Table `enrolment_codes`: hashes only, the code itself is shown once.

use super::{Connection, StoreError, column};
use uuid::Uuid;

/// A one-time code as it is stored: what it is good for lies in the sealed document.
#[derive(Debug, Clone)]
pub struct Row {
    /// Hash of the code, as the protocol defines it.
    pub hash: [u8; 32],
    /// For which tenant.
    pub tenant: String,
    /// For which user.
    pub user: String,
    /// Unix milliseconds.
    pub expires_at: i64,
    /// The document.
    pub sealed: Vec<u8>,
}

/// The code if it is of this tenant, unused, and not expired at `now`.
pub(crate) async fn usable(
    db: &mut Connection,
    tenant: &str,
    hash: &[u8; 32],
    now: i64,
) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT user_id, expires_at, sealed FROM enrolment_codes
               WHERE hash = $1 AND tenant = $2 AND used_by IS NULL AND expires_at > $3";
    let Some(row) = sqlx::query(sql).bind(&hash[..]).bind(tenant).bind(now).fetch_optional(db).await? else {
        return Ok(None);
    };
    Ok(Some(Row {
        hash: *hash,
        tenant: tenant.into(),
        user: column(&row, "user_id")?,
        expires_at: column(&row, "expires_at")?,
        sealed: column(&row, "sealed")?,
    }))
}

pub(crate) async fn insert(db: &mut Connection, code: &Row) -> Result<(), StoreError> {
    let sql = "INSERT INTO enrolment_codes (hash, tenant, user_id, expires_at, sealed) VALUES ($1,$2,$3,$4,$5)";
    sqlx::query(sql)
        .bind(&code.hash[..])
        .bind(&code.tenant)
        .bind(&code.user)
        .bind(code.expires_at)
        .bind(&code.sealed[..])
        .execute(db)
        .await?;
    Ok(())
}

pub(crate) async fn spend(db: &mut Connection, hash: &[u8; 32], device: Uuid) -> Result<(), StoreError> {
    let sql = "UPDATE enrolment_codes SET used_by = $1 WHERE hash = $2";
    sqlx::query(sql).bind(device.to_string()).bind(&hash[..]).execute(db).await?;
    Ok(())
}
