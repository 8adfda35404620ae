//! Table `broker_keys`: the broker's own keys, sealed.

use super::{Connection, StoreError, column, parsed, stored_words};
use sqlx::any::AnyRow;
use uuid::Uuid;

stored_words! {
    /// What one of the broker's own keys is for.
    Purpose {
        /// Seals all the others; itself wrapped by the root provider.
        Seal = "seal",
        /// Signs events (Ed25519 seed).
        Event = "event",
        /// Authenticates nonces (HMAC-SHA256).
        Nonce = "nonce",
        /// Signs a tenant's checkpoints (Ed25519 seed).
        Log = "log",
        /// Opens what devices seal to a tenant (X-Wing seed).
        Ingress = "ingress",
    }
}

/// One of the broker's own keys.
#[derive(Debug, Clone)]
pub struct BrokerKey {
    /// Made by the broker.
    pub id: Uuid,
    /// `""` for the broker's own.
    pub tenant: String,
    /// What for.
    pub purpose: Purpose,
    /// Ciphertext; bound to id, tenant and purpose.
    pub sealed: Vec<u8>,
    /// Unix milliseconds.
    pub created_at: i64,
}

fn read(row: &AnyRow) -> Result<BrokerKey, StoreError> {
    Ok(BrokerKey {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        purpose: parsed(row, "purpose")?,
        sealed: column(row, "sealed")?,
        created_at: column(row, "created_at")?,
    })
}

/// All keys of a tenant, newest first.
pub(crate) async fn of_tenant(db: &mut Connection, tenant: &str) -> Result<Vec<BrokerKey>, StoreError> {
    let sql = "SELECT id, tenant, purpose, sealed, created_at FROM broker_keys
               WHERE tenant = $1 ORDER BY created_at DESC, id DESC";
    sqlx::query(sql).bind(tenant).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, key: &BrokerKey) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO broker_keys (id, tenant, purpose, sealed, created_at) VALUES ($1,$2,$3,$4,$5)")
        .bind(key.id.to_string())
        .bind(&key.tenant)
        .bind(key.purpose.as_str())
        .bind(&key.sealed[..])
        .bind(key.created_at)
        .execute(db)
        .await?;
    Ok(())
}

/// The row is overwritten, not only unlinked: the database is opened with `secure_delete`.
pub(crate) async fn destroy(db: &mut Connection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM broker_keys WHERE id = $1").bind(id.to_string()).execute(db).await?;
    Ok(())
}

/// All or none: half a set of keys would be a database that never opens.
pub(crate) async fn insert_together(db: &mut Connection, keys: &[BrokerKey]) -> Result<(), StoreError> {
    let mut transaction = sqlx::Connection::begin(db).await?;
    for key in keys {
        insert(&mut transaction, key).await?;
    }
    Ok(transaction.commit().await?)
}
