//! Table `devices`.

use super::tenants::Protection;
use super::{Connection, Standing, StoreError, column, hash32, list, parsed, tenants};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A device that has proven whose it is, and the key that it signs with.
#[derive(Debug, Clone)]
pub struct Device {
    /// Made by the broker; the `kid` of its requests.
    pub id: Uuid,
    /// Whose.
    pub tenant: String,
    /// Whose within the tenant.
    pub user: String,
    /// For people, as the device named itself.
    pub name: String,
    /// For people and policy, as the device named it.
    pub platform: String,
    /// Its public key as canonical JWK text (RFC 7638).
    pub jwk: String,
    /// SHA-256 of `jwk` (RFC 7638); a key enrols once per tenant.
    pub thumbprint: [u8; 32],
    /// Whether it may act.
    pub state: Standing,
    /// Whether its key is proven to live in hardware.
    pub attested: bool,
    /// Whether the help desk made the code with which it was enrolled.
    pub by_help_desk: bool,
    /// Unix milliseconds.
    pub enrolled_at: i64,
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
}

const COLUMNS: &str =
    "id, tenant, user_id, name, platform, jwk, thumbprint, state, attested, by_help_desk, enrolled_at";

fn read(row: &AnyRow) -> Result<Device, StoreError> {
    Ok(Device {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        user: column(row, "user_id")?,
        name: column(row, "name")?,
        platform: column(row, "platform")?,
        jwk: column(row, "jwk")?,
        thumbprint: hash32(row, "thumbprint")?,
        state: parsed(row, "state")?,
        attested: column::<i64>(row, "attested")? != 0,
        by_help_desk: column::<i64>(row, "by_help_desk")? != 0,
        enrolled_at: column(row, "enrolled_at")?,
    })
}

fn read_membership(row: &AnyRow) -> Result<Membership, StoreError> {
    Ok(Membership {
        user: parsed(row, "user_state")?,
        tenant: parsed(row, "tenant_state")?,
        protection: tenants::protection(row)?,
        unattested_days: tenants::unattested_days(row)?,
        policy: tenants::policy(row)?,
    })
}

/// These devices, each with what it belongs to: one look at three tables.
pub(crate) async fn find_all(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<(Device, Membership)>, StoreError> {
    let sql = format!(
        "SELECT d.id, d.tenant, d.user_id, d.name, d.platform, d.jwk, d.thumbprint, d.state, d.attested,
           d.by_help_desk, d.enrolled_at,
           u.state AS user_state, t.state AS tenant_state, t.kek, t.second_kek, t.standby_kek,
           t.unattested_days, t.policy
         FROM devices d JOIN users u ON u.tenant = d.tenant AND u.id = d.user_id JOIN tenants t ON t.id = d.tenant
         WHERE d.id IN {}",
        list(ids.len())
    );
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(|row| Ok((read(row)?, read_membership(row)?))).collect()
}

pub(crate) async fn find(db: &mut Connection, id: Uuid) -> Result<Option<(Device, Membership)>, StoreError> {
    Ok(find_all(db, &[id]).await?.pop())
}

pub(crate) async fn is_key_known(db: &mut Connection, tenant: &str, thumbprint: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM devices WHERE tenant = $1 AND thumbprint = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(&thumbprint[..]).fetch_optional(db).await?.is_some())
}

/// The tenant's devices after `after`, by id; only those of `user` where there is one.
pub(crate) async fn page(
    db: &mut Connection,
    tenant: &str,
    user: Option<&str>,
    (after, limit): (&str, i64),
) -> Result<Vec<Device>, StoreError> {
    let of_user = user.map_or("", |_| "AND user_id = ?");
    let sql = format!("SELECT {COLUMNS} FROM devices WHERE tenant = ? {of_user} AND id > ? ORDER BY id LIMIT ?");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant);
    let query = user.into_iter().fold(query, |query, user| query.bind(user));
    query.bind(after).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, device: &Device) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO devices ({COLUMNS}) VALUES {}", list(11));
    sqlx::query(AssertSqlSafe(sql))
        .bind(device.id.to_string())
        .bind(&device.tenant)
        .bind(&device.user)
        .bind(&device.name)
        .bind(&device.platform)
        .bind(&device.jwk)
        .bind(&device.thumbprint[..])
        .bind(device.state.as_str())
        .bind(i64::from(device.attested))
        .bind(i64::from(device.by_help_desk))
        .bind(device.enrolled_at)
        .execute(db)
        .await?;
    Ok(())
}

pub(crate) async fn revoke(db: &mut Connection, tenant: &str, id: Uuid) -> Result<bool, StoreError> {
    let sql = "UPDATE devices SET state = 'revoked' WHERE tenant = $1 AND id = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(id.to_string()).execute(db).await?.rows_affected() == 1)
}
