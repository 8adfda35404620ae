//! Table `tenants`.

use super::wraps::Slot;
use super::{Connection, Standing, StoreError, column, list, parsed};
use sqlx::AssertSqlSafe;
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
    /// The KEKs that wrap its records; none before the first is registered.
    pub protection: Option<Protection>,
    /// Days after enrolment in which a device without attestation may restore; `None` refuses them.
    pub unattested_days: Option<u32>,
    /// The version of its policies that is in force; `None`: the defaults.
    pub policy: Option<u64>,
    /// Unix milliseconds.
    pub created_at: i64,
}

/// Which KEKs a tenant's records are wrapped under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// One KEK opens.
    One(Uuid),
    /// Each holds a share: both are needed.
    Both(Uuid, Uuid),
    /// Each opens alone; the second stands by for when the first cannot be reached.
    Either(Uuid, Uuid),
}

impl Protection {
    /// The slot of each wrap that a record then has, and the KEK for it.
    pub fn slots(self) -> impl Iterator<Item = (Slot, Uuid)> {
        let (one, other) = match self {
            Self::One(kek) => ((Slot::Whole, kek), None),
            Self::Both(first, second) => ((Slot::First, first), Some((Slot::Second, second))),
            Self::Either(kek, standby) => ((Slot::Whole, kek), Some((Slot::Standby, standby))),
        };
        std::iter::once(one).chain(other)
    }

    /// The KEKs.
    pub fn keks(self) -> impl Iterator<Item = Uuid> {
        self.slots().map(|(_, kek)| kek)
    }
}

pub(super) fn protection(row: &AnyRow) -> Result<Option<Protection>, StoreError> {
    let kek = |name: &'static str| {
        let id: Option<String> = column(row, name)?;
        id.map(|id| id.parse()).transpose().map_err(|_| StoreError::Corrupt { column: name })
    };
    match (kek("kek")?, kek("second_kek")?, kek("standby_kek")?) {
        (None, None, None) => Ok(None),
        (Some(kek), None, None) => Ok(Some(Protection::One(kek))),
        (Some(first), Some(second), None) => Ok(Some(Protection::Both(first, second))),
        (Some(kek), None, Some(standby)) => Ok(Some(Protection::Either(kek, standby))),
        (None, ..) | (Some(_), Some(_), Some(_)) => Err(StoreError::Corrupt { column: "kek" }),
    }
}

pub(super) fn unattested_days(row: &AnyRow) -> Result<Option<u32>, StoreError> {
    let days: Option<i64> = column(row, "unattested_days")?;
    days.map(u32::try_from).transpose().map_err(|_| StoreError::Corrupt { column: "unattested_days" })
}

pub(super) fn policy(row: &AnyRow) -> Result<Option<u64>, StoreError> {
    let version: Option<i64> = column(row, "policy")?;
    version.map(u64::try_from).transpose().map_err(|_| StoreError::Corrupt { column: "policy" })
}

fn read(row: &AnyRow) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        id: column(row, "id")?,
        name: column(row, "name")?,
        state: parsed(row, "state")?,
        protection: protection(row)?,
        unattested_days: unattested_days(row)?,
        policy: policy(row)?,
        created_at: column(row, "created_at")?,
    })
}

const COLUMNS: &str = "id, name, state, kek, second_kek, standby_kek, unattested_days, policy, created_at";

pub(crate) async fn find(db: &mut Connection, id: &str) -> Result<Option<Tenant>, StoreError> {
    Ok(find_all(db, &[id]).await?.pop())
}

pub(crate) async fn find_all(db: &mut Connection, ids: &[&str]) -> Result<Vec<Tenant>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tenants WHERE id IN {}", list(ids.len()));
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(*id));
    query.fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn page(db: &mut Connection, after: &str, limit: i64) -> Result<Vec<Tenant>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tenants WHERE id > $1 ORDER BY id LIMIT $2");
    sqlx::query(AssertSqlSafe(sql)).bind(after).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

/// Inserts a tenant that has no KEK and no policies of its own yet.
pub(crate) async fn insert(db: &mut Connection, tenant: &Tenant) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO tenants (id, name, state, unattested_days, created_at) VALUES ($1,$2,$3,$4,$5)")
        .bind(&tenant.id)
        .bind(&tenant.name)
        .bind(tenant.state.as_str())
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

pub(crate) async fn protect(db: &mut Connection, id: &str, protection: Protection) -> Result<(), StoreError> {
    let (kek, second, standby) = match protection {
        Protection::One(kek) => (kek, None, None),
        Protection::Both(first, second) => (first, Some(second), None),
        Protection::Either(kek, standby) => (kek, None, Some(standby)),
    };
    sqlx::query("UPDATE tenants SET kek = $1, second_kek = $2, standby_kek = $3 WHERE id = $4")
        .bind(kek.to_string())
        .bind(second.map(|id| id.to_string()))
        .bind(standby.map(|id| id.to_string()))
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}

/// Puts another version of the policies in force.
pub(crate) async fn set_policy(db: &mut Connection, id: &str, version: u64) -> Result<(), StoreError> {
    let query = sqlx::query("UPDATE tenants SET policy = $1 WHERE id = $2").bind(version.cast_signed()).bind(id);
    query.execute(db).await?;
    Ok(())
}
