//! Table `keks`.

use super::{Connection, StoreError, column, list, parsed, stored_words};
use providers::Wrapped;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

stored_words! {
    /// Whether a KEK may be used.
    KekState {
        /// Wraps and unwraps.
        Active = "active",
        /// Does nothing until it is enabled again.
        Disabled = "disabled",
        /// Taken away for good.
        Revoked = "revoked",
        /// What it wrapped is gone from here.
        Destroyed = "destroyed",
    }
}

/// A customer's key-encryption key, named at its provider.
#[derive(Debug, Clone)]
pub struct Kek {
    /// Opaque: this is what events name.
    pub id: Uuid,
    /// Whose it is.
    pub tenant: String,
    /// The configured provider that holds it.
    pub provider: String,
    /// What the provider calls it.
    pub key_name: String,
    /// Counted by the broker, from 1.
    pub version: u64,
    /// Whether it may wrap and unwrap.
    pub state: KekState,
    /// Unix milliseconds.
    pub created_at: i64,
}

const COLUMNS: &str = "id, tenant, provider, key_name, version, state, created_at";

pub(super) fn read(row: &AnyRow) -> Result<Kek, StoreError> {
    Ok(Kek {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        provider: column(row, "provider")?,
        key_name: column(row, "key_name")?,
        version: column::<i64>(row, "version")?.unsigned_abs(),
        state: parsed(row, "state")?,
        created_at: column(row, "created_at")?,
    })
}

pub(crate) async fn find(db: &mut Connection, id: Uuid) -> Result<Option<Kek>, StoreError> {
    Ok(find_all(db, &[id]).await?.pop())
}

pub(crate) async fn find_all(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<Kek>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM keks WHERE id IN {}", list(ids.len()));
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn page(db: &mut Connection, tenant: &str, after: &str, limit: i64) -> Result<Vec<Kek>, StoreError> {
    let sql = "SELECT id, tenant, provider, key_name, version, state, created_at FROM keks
               WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
    sqlx::query(sql).bind(tenant).bind(after).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

/// The tenant whose KEK this key of a provider is.
pub(crate) async fn holder(
    db: &mut Connection,
    (provider, key_name): (&str, &str),
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT tenant FROM keks WHERE provider = $1 AND key_name = $2";
    let row = sqlx::query(sql).bind(provider).bind(key_name).fetch_optional(db).await?;
    row.map(|row| column(&row, "tenant")).transpose()
}

/// Stores a KEK with a random secret under it.
pub(crate) async fn insert(db: &mut Connection, kek: &Kek, canary: &Wrapped) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO keks (id, tenant, provider, key_name, version, state, created_at, canary, canary_version)
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)",
    )
    .bind(kek.id.to_string())
    .bind(&kek.tenant)
    .bind(&kek.provider)
    .bind(&kek.key_name)
    .bind(kek.version.cast_signed())
    .bind(kek.state.as_str())
    .bind(kek.created_at)
    .bind(&canary.bytes[..])
    .bind(&canary.version)
    .execute(db)
    .await?;
    Ok(())
}

/// The random secret that was wrapped when the KEK was registered or last rotated.
pub(crate) async fn canary(db: &mut Connection, id: Uuid) -> Result<Option<Wrapped>, StoreError> {
    let sql = "SELECT canary, canary_version FROM keks WHERE id = $1";
    let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(db).await?;
    row.as_ref().map(read_canary).transpose()
}

fn read_canary(row: &AnyRow) -> Result<Wrapped, StoreError> {
    Ok(Wrapped { bytes: column(row, "canary")?, version: column(row, "canary_version")? })
}

/// Every active KEK that wraps new records of an active tenant, or has old ones under it, with its canary.
pub(crate) async fn in_use(db: &mut Connection) -> Result<Vec<(Kek, Wrapped)>, StoreError> {
    let sql = "SELECT k.id, k.tenant, k.provider, k.key_name, k.version, k.state, k.created_at, k.canary, k.canary_version
               FROM keks k JOIN tenants t ON t.id = k.tenant WHERE k.state = 'active' AND t.state = 'active'
                 AND (k.id IN (t.kek, t.second_kek, t.standby_kek) OR EXISTS (SELECT 1 FROM wraps w WHERE w.kek = k.id))";
    let rows = sqlx::query(sql).fetch_all(db).await?;
    rows.iter().map(|row| Ok((read(row)?, read_canary(row)?))).collect()
}

/// Raises the KEK's version by one, with a canary under what the vendor wraps with now.
pub(crate) async fn rotate(db: &mut Connection, id: Uuid, canary: &Wrapped) -> Result<(), StoreError> {
    let sql = "UPDATE keks SET version = version + 1, canary = $1, canary_version = $2 WHERE id = $3";
    sqlx::query(sql).bind(&canary.bytes[..]).bind(&canary.version).bind(id.to_string()).execute(db).await?;
    Ok(())
}

/// Takes a KEK away for good, unless it is destroyed.
pub(crate) async fn revoke(db: &mut Connection, tenant: &str, id: Uuid) -> Result<bool, StoreError> {
    let sql = "UPDATE keks SET state = 'revoked' WHERE tenant = $1 AND id = $2 AND state <> 'destroyed'";
    Ok(sqlx::query(sql).bind(tenant).bind(id.to_string()).execute(db).await?.rows_affected() == 1)
}

pub(crate) async fn set_state(db: &mut Connection, id: Uuid, state: KekState) -> Result<(), StoreError> {
    let sql = "UPDATE keks SET state = $1 WHERE id = $2";
    sqlx::query(sql).bind(state.as_str()).bind(id.to_string()).execute(db).await?;
    Ok(())
}
