//! Table `enrolment_codes`: hashes only, the code itself is shown once.

use super::{Connection, StoreError, column};
use uuid::Uuid;

/// A one-time code that an admin made for one user.
#[derive(Debug, Clone)]
pub struct EnrolmentCode {
    /// Hash of the code, as the protocol defines it.
    pub hash: [u8; 32],
    /// For which tenant.
    pub tenant: String,
    /// For which user.
    pub user: String,
    /// Whether the help desk made it.
    pub by_help_desk: bool,
    /// Unix milliseconds.
    pub expires_at: i64,
}

/// The code if it is of this tenant, unused, and not expired at `now`.
pub(crate) async fn usable(
    db: &mut Connection,
    tenant: &str,
    hash: &[u8; 32],
    now: i64,
) -> Result<Option<EnrolmentCode>, StoreError> {
    let sql = "SELECT user_id, by_help_desk, expires_at FROM enrolment_codes
               WHERE hash = $1 AND tenant = $2 AND used_by IS NULL AND expires_at > $3";
    let Some(row) = sqlx::query(sql).bind(&hash[..]).bind(tenant).bind(now).fetch_optional(db).await? else {
        return Ok(None);
    };
    Ok(Some(EnrolmentCode {
        hash: *hash,
        tenant: tenant.into(),
        user: column(&row, "user_id")?,
        by_help_desk: column::<i64>(&row, "by_help_desk")? != 0,
        expires_at: column(&row, "expires_at")?,
    }))
}

pub(crate) async fn insert(db: &mut Connection, code: &EnrolmentCode) -> Result<(), StoreError> {
    let sql = "INSERT INTO enrolment_codes (hash, tenant, user_id, by_help_desk, expires_at) VALUES ($1,$2,$3,$4,$5)";
    sqlx::query(sql)
        .bind(&code.hash[..])
        .bind(&code.tenant)
        .bind(&code.user)
        .bind(i64::from(code.by_help_desk))
        .bind(code.expires_at)
        .execute(db)
        .await?;
    Ok(())
}

pub(crate) async fn spend(db: &mut Connection, hash: &[u8; 32], device: Uuid) -> Result<(), StoreError> {
    let sql = "UPDATE enrolment_codes SET used_by = $1 WHERE hash = $2";
    sqlx::query(sql).bind(device.to_string()).bind(&hash[..]).execute(db).await?;
    Ok(())
}
