//! Table `users`.

use super::{Connection, Standing, StoreError, column, parsed};
use notices::Address;
use sqlx::any::AnyRow;

/// A person of a tenant; records and devices belong to one.
#[derive(Debug, Clone)]
pub struct User {
    /// Whose employee.
    pub tenant: String,
    /// As the tenant names the person.
    pub id: String,
    /// Whether any of the person's devices may act.
    pub state: Standing,
    /// Where the person is told of what happens to their keys.
    pub email: Option<Address>,
    /// Unix milliseconds.
    pub created_at: i64,
}

fn read(row: &AnyRow) -> Result<User, StoreError> {
    Ok(User {
        tenant: column(row, "tenant")?,
        id: column(row, "id")?,
        state: parsed(row, "state")?,
        email: column::<Option<String>>(row, "email")?
            .map(Address::try_from)
            .transpose()
            .map_err(|_| StoreError::Corrupt { column: "email" })?,
        created_at: column(row, "created_at")?,
    })
}

pub(crate) async fn find(db: &mut Connection, tenant: &str, id: &str) -> Result<Option<User>, StoreError> {
    let sql = "SELECT tenant, id, state, email, created_at FROM users WHERE tenant = $1 AND id = $2";
    sqlx::query(sql).bind(tenant).bind(id).fetch_optional(db).await?.as_ref().map(read).transpose()
}

pub(crate) async fn page(db: &mut Connection, tenant: &str, after: &str, limit: i64) -> Result<Vec<User>, StoreError> {
    let sql =
        "SELECT tenant, id, state, email, created_at FROM users WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
    sqlx::query(sql).bind(tenant).bind(after).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

/// The tenant's users whose ids begin so.
pub(crate) async fn beginning_with(
    db: &mut Connection,
    tenant: &str,
    prefix: &str,
    limit: i64,
) -> Result<Vec<User>, StoreError> {
    let sql = "SELECT tenant, id, state, email, created_at FROM users
               WHERE tenant = $1 AND id >= $2 AND substr(id, 1, length($2)) = $2 ORDER BY id LIMIT $3";
    sqlx::query(sql).bind(tenant).bind(prefix).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, user: &User) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO users (tenant, id, state, email, created_at) VALUES ($1,$2,$3,$4,$5)")
        .bind(&user.tenant)
        .bind(&user.id)
        .bind(user.state.as_str())
        .bind(user.email.as_ref().map(Address::to_string))
        .bind(user.created_at)
        .execute(db)
        .await?;
    Ok(())
}

/// Has the person told elsewhere, or nowhere. `false` where there is no such user.
pub(crate) async fn set_email(
    db: &mut Connection,
    tenant: &str,
    id: &str,
    email: Option<&Address>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE users SET email = $1 WHERE tenant = $2 AND id = $3";
    let query = sqlx::query(sql).bind(email.map(Address::to_string)).bind(tenant).bind(id);
    Ok(query.execute(db).await?.rows_affected() == 1)
}

pub(crate) async fn revoke(db: &mut Connection, tenant: &str, id: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE users SET state = 'revoked' WHERE tenant = $1 AND id = $2";
    Ok(sqlx::query(sql).bind(tenant).bind(id).execute(db).await?.rows_affected() == 1)
}
