//! Table `policy_versions`: sealed documents; [`crate::rulebook`] opens them.

use super::{Connection, StoreError, column, list, parsed, stored_words, unsigned};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

stored_words! {
    /// How far a version of a tenant's policies is.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    PolicyState {
        /// Written; nothing follows from it.
        Draft = "draft",
        /// A person wants it in force; another has to agree.
        Proposed = "proposed",
        /// Two people agreed, and its time has not come.
        Scheduled = "scheduled",
        /// In force.
        Active = "active",
        /// Was in force.
        Retired = "retired",
        /// Will not take effect.
        Withdrawn = "withdrawn",
    }
}

/// A version, as stored.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Whose.
    pub(crate) tenant: String,
    /// Counted from 1.
    pub(crate) version: u64,
    /// Counts what became of it, from 1.
    pub(crate) revision: u64,
    /// To find it by; the document says the same.
    pub(crate) state: PolicyState,
    /// The document.
    pub(crate) sealed: Vec<u8>,
}

const COLUMNS: &str = "tenant, version, revision, state, sealed";

fn read(row: &AnyRow) -> Result<Row, StoreError> {
    Ok(Row {
        tenant: column(row, "tenant")?,
        version: unsigned(row, "version")?,
        revision: unsigned(row, "revision")?,
        state: parsed(row, "state")?,
        sealed: column(row, "sealed")?,
    })
}

pub(crate) async fn find(db: &mut Connection, tenant: &str, version: u64) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM policy_versions WHERE tenant = $1 AND version = $2");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(version.cast_signed());
    query.fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// A tenant's versions after this one, in order.
pub(crate) async fn page(db: &mut Connection, tenant: &str, after: u64, limit: i64) -> Result<Vec<Row>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM policy_versions WHERE tenant = $1 AND version > $2 ORDER BY version LIMIT $3");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(after.cast_signed()).bind(limit);
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// The versions of all tenants that are in this state.
pub(crate) async fn in_state(db: &mut Connection, state: PolicyState) -> Result<Vec<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM policy_versions WHERE state = $1 ORDER BY tenant, version LIMIT 256");
    sqlx::query(AssertSqlSafe(sql)).bind(state.as_str()).fetch_all(db).await?.iter().map(read).collect()
}

/// The number of a tenant's newest version; 0 where there is none.
pub(crate) async fn newest(db: &mut Connection, tenant: &str) -> Result<u64, StoreError> {
    let sql = "SELECT COALESCE(MAX(version), 0) AS version FROM policy_versions WHERE tenant = $1";
    unsigned(&sqlx::query(sql).bind(tenant).fetch_one(db).await?, "version")
}

/// Stores a new version, or a new revision of one.
pub(crate) async fn put(db: &mut Connection, row: &Row) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO policy_versions ({COLUMNS}) VALUES {} ON CONFLICT (tenant, version) DO UPDATE SET
           revision = excluded.revision, state = excluded.state, sealed = excluded.sealed",
        list(5)
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(&row.tenant)
        .bind(row.version.cast_signed())
        .bind(row.revision.cast_signed())
        .bind(row.state.as_str())
        .bind(&row.sealed[..])
        .execute(db)
        .await?;
    Ok(())
}
