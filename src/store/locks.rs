//! Table `locks`: users who are locked, and tenants whose restores are frozen. Nothing is released, and nothing is lost.

use super::{Connection, StoreError, column, placeholders};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// A user, or a tenant as a whole: then `user` is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The tenant.
    pub tenant: String,
    /// The user.
    pub user: String,
}

impl Holder {
    /// This user.
    #[must_use]
    pub fn user(tenant: &str, user: &str) -> Self {
        Self { tenant: tenant.into(), user: user.into() }
    }

    /// All of the tenant.
    #[must_use]
    pub fn tenant(tenant: &str) -> Self {
        Self::user(tenant, "")
    }

    /// Whether it is all of the tenant.
    #[must_use]
    pub fn is_tenant(&self) -> bool {
        self.user.is_empty()
    }
}

/// A user is locked, or a tenant's restores are frozen.
#[derive(Debug, Clone)]
pub struct Lock {
    /// Who.
    pub holder: Holder,
    /// An administrator did it; else the quota.
    pub by_admin: bool,
    /// Unix milliseconds.
    pub locked_at: i64,
}

fn read(row: &AnyRow) -> Result<Lock, StoreError> {
    Ok(Lock {
        holder: Holder { tenant: column(row, "tenant")?, user: column(row, "user_id")? },
        by_admin: column::<i64>(row, "by_admin")? != 0,
        locked_at: column(row, "locked_at")?,
    })
}

const COLUMNS: &str = "tenant, user_id, by_admin, locked_at";

pub(crate) async fn find(db: &mut Connection, holder: &Holder) -> Result<Option<Lock>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM locks WHERE tenant = $1 AND user_id = $2");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(&holder.tenant).bind(&holder.user);
    query.fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// Those of them who are locked.
pub(crate) async fn among(db: &mut Connection, holders: &[&Holder]) -> Result<Vec<Holder>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM locks WHERE (tenant, user_id) IN (VALUES {})", placeholders(holders.len(), 2));
    let query = holders
        .iter()
        .fold(sqlx::query(AssertSqlSafe(sql)), |query, Holder { tenant, user }| query.bind(tenant).bind(user));
    query.fetch_all(db).await?.iter().map(|row| Ok(read(row)?.holder)).collect()
}

/// At least one; whoever is locked already stays so.
pub(crate) async fn insert_all(db: &mut Connection, locks: &[Lock]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO locks ({COLUMNS}, told) VALUES {} ON CONFLICT (tenant, user_id) DO NOTHING",
        placeholders(locks.len(), 5)
    );
    let query = locks.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, lock| {
        // What an administrator does is told in the transaction of its event.
        let (by_admin, told) = (i64::from(lock.by_admin), i64::from(lock.by_admin));
        query.bind(&lock.holder.tenant).bind(&lock.holder.user).bind(by_admin).bind(lock.locked_at).bind(told)
    });
    query.execute(db).await?;
    Ok(())
}

/// `false` where there is no lock.
pub(crate) async fn remove(db: &mut Connection, holder: &Holder) -> Result<bool, StoreError> {
    let sql = "DELETE FROM locks WHERE tenant = $1 AND user_id = $2";
    Ok(sqlx::query(sql).bind(&holder.tenant).bind(&holder.user).execute(db).await?.rows_affected() == 1)
}

/// Locks that nobody was told of yet.
pub(crate) async fn untold(db: &mut Connection) -> Result<Vec<Lock>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM locks WHERE told = 0 ORDER BY locked_at LIMIT 256");
    sqlx::query(AssertSqlSafe(sql)).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn set_told(db: &mut Connection, holder: &Holder) -> Result<(), StoreError> {
    let sql = "UPDATE locks SET told = 1 WHERE tenant = $1 AND user_id = $2";
    sqlx::query(sql).bind(&holder.tenant).bind(&holder.user).execute(db).await?;
    Ok(())
}

/// The tenant's locks after the one of the user `after`; its own, if it has one, is the first.
pub(crate) async fn page(
    db: &mut Connection,
    tenant: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Lock>, StoreError> {
    let beyond = after.map_or("", |_| "AND user_id > ?");
    let sql = format!("SELECT {COLUMNS} FROM locks WHERE tenant = ? {beyond} ORDER BY user_id LIMIT ?");
    let query = after.into_iter().fold(sqlx::query(AssertSqlSafe(sql)).bind(tenant), |query, after| query.bind(after));
    query.bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

/// How many users are locked, and how many tenants are frozen.
pub(crate) async fn count(db: &mut Connection) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT COUNT(*) AS locks, COUNT(CASE WHEN user_id = '' THEN 1 END) AS frozen FROM locks";
    let row = sqlx::query(sql).fetch_one(db).await?;
    let (locks, frozen) = (column::<i64>(&row, "locks")?, column::<i64>(&row, "frozen")?);
    Ok((locks - frozen, frozen))
}
