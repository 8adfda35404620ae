//! Table `destructions`, and what a destruction does to records: page by page, however many there are.

use super::keks::KekState;
use super::{Connection, StoreError, column, list, parsed, stored_words};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// How long an order waits for its confirmation, in milliseconds: a day.
const LIFETIME: i64 = 24 * 3_600 * 1_000;

stored_words! {
    /// How far a destruction is.
    DestructionState {
        /// Waits for another administrator.
        Requested = "requested",
        /// The KEK opens nothing any more; what it wrapped is deleted page by page.
        Confirmed = "confirmed",
        /// Taken back.
        Cancelled = "cancelled",
    }
}

/// What becomes of the records under a KEK when it is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stakes {
    /// Records that nothing opens any more.
    pub lost: u64,
    /// Records that another KEK still opens, or will once it is enabled.
    pub kept: u64,
}

/// An order to destroy what a KEK wrapped.
#[derive(Debug, Clone)]
pub struct Destruction {
    /// Its id.
    pub id: Uuid,
    /// Whose KEK.
    pub tenant: String,
    /// Which KEK.
    pub kek: Uuid,
    /// Why.
    pub reason: String,
    /// Who asked, as events call them; another has to confirm.
    pub requested_by: String,
    /// How far it is.
    pub state: DestructionState,
    /// What it meant when it was asked for.
    pub stakes: Stakes,
    /// Unix milliseconds.
    pub requested_at: i64,
}

impl Destruction {
    /// Unix milliseconds; from then on it cannot be confirmed.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.requested_at + LIFETIME
    }
}

const COLUMNS: &str = "id, tenant, kek, reason, requested_by, state, lost, kept, requested_at";

fn read(row: &AnyRow) -> Result<Destruction, StoreError> {
    Ok(Destruction {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        kek: parsed(row, "kek")?,
        reason: column(row, "reason")?,
        requested_by: column(row, "requested_by")?,
        state: parsed(row, "state")?,
        stakes: read_stakes(row)?,
        requested_at: column(row, "requested_at")?,
    })
}

fn read_stakes(row: &AnyRow) -> Result<Stakes, StoreError> {
    let count = |name| column::<i64>(row, name).map(i64::unsigned_abs);
    Ok(Stakes { lost: count("lost")?, kept: count("kept")? })
}

pub(crate) async fn find(db: &mut Connection, tenant: &str, id: Uuid) -> Result<Option<Destruction>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM destructions WHERE tenant = $1 AND id = $2");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(id.to_string()).fetch_optional(db).await?;
    row.as_ref().map(read).transpose()
}

pub(crate) async fn page(
    db: &mut Connection,
    tenant: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Destruction>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM destructions WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3");
    sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(after).bind(limit).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, order: &Destruction) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO destructions ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)");
    sqlx::query(AssertSqlSafe(sql))
        .bind(order.id.to_string())
        .bind(&order.tenant)
        .bind(order.kek.to_string())
        .bind(&order.reason)
        .bind(&order.requested_by)
        .bind(order.state.as_str())
        .bind(order.stakes.lost.cast_signed())
        .bind(order.stakes.kept.cast_signed())
        .bind(order.requested_at)
        .execute(db)
        .await?;
    Ok(())
}

pub(crate) async fn set_state(db: &mut Connection, id: Uuid, state: DestructionState) -> Result<(), StoreError> {
    let sql = "UPDATE destructions SET state = $1 WHERE id = $2";
    sqlx::query(sql).bind(state.as_str()).bind(id.to_string()).execute(db).await?;
    Ok(())
}

/// Whether the record of the wrap `w` has a whole secret under another KEK too, and that one may be used or enabled.
const OPENS_OTHERWISE: &str = "EXISTS (SELECT 1 FROM wraps o JOIN keks k ON k.id = o.kek
    WHERE o.record = w.record AND o.kek <> w.kek AND o.slot IN ('whole', 'standby')
      AND k.state IN ('active', 'disabled'))";

/// What a destruction of this KEK would do now.
pub(crate) async fn stakes(db: &mut Connection, kek: Uuid) -> Result<Stakes, StoreError> {
    let sql = format!(
        "SELECT COUNT(DISTINCT CASE WHEN {OPENS_OTHERWISE} THEN NULL ELSE w.record END) AS lost,
                COUNT(DISTINCT CASE WHEN {OPENS_OTHERWISE} THEN w.record END) AS kept
         FROM wraps w WHERE w.kek = $1"
    );
    read_stakes(&sqlx::query(AssertSqlSafe(sql)).bind(kek.to_string()).fetch_one(db).await?)
}

/// The destroyed KEKs of which wraps are left, each with its tenant.
pub(crate) async fn unfinished(db: &mut Connection) -> Result<Vec<(String, Uuid)>, StoreError> {
    let sql = "SELECT tenant, id FROM keks WHERE state = $1 AND EXISTS (SELECT 1 FROM wraps WHERE kek = keks.id)";
    let rows = sqlx::query(sql).bind(KekState::Destroyed.as_str()).fetch_all(db).await?;
    rows.iter().map(|row| Ok((column(row, "tenant")?, parsed(row, "id")?))).collect()
}

/// At most so many records that the KEK has wraps of.
pub(crate) async fn records_under(db: &mut Connection, kek: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    let sql = "SELECT DISTINCT record FROM wraps WHERE kek = $1 LIMIT $2";
    let rows = sqlx::query(sql).bind(kek.to_string()).bind(limit).fetch_all(db).await?;
    rows.iter().map(|row| parsed(row, "record")).collect()
}

/// Deletes what the KEK wrapped of these records. What stands by for a record takes its place; where nothing does, what
/// is beside it, a share of no use, and the bundle go too. The record's row stays, so that generations only grow.
pub(crate) async fn shred(db: &mut Connection, kek: Uuid, records: &[Uuid]) -> Result<(), StoreError> {
    let these = list(records.len());
    let steps = [
        format!("DELETE FROM wraps AS w WHERE w.kek = ? AND w.record IN {these} AND {OPENS_OTHERWISE}"),
        format!(
            "UPDATE wraps SET slot = 'whole' WHERE slot = 'standby' AND kek <> ? AND record IN {these}
               AND NOT EXISTS (SELECT 1 FROM wraps w WHERE w.record = wraps.record AND w.slot = 'whole')"
        ),
        format!(
            "UPDATE records SET bundle = x'' WHERE id IN (SELECT record FROM wraps WHERE kek = ? AND record IN {these})"
        ),
        format!("DELETE FROM wraps WHERE record IN (SELECT record FROM wraps WHERE kek = ? AND record IN {these})"),
    ];
    for sql in steps {
        let query = sqlx::query(AssertSqlSafe(sql)).bind(kek.to_string());
        records.iter().fold(query, |query, id| query.bind(id.to_string())).execute(&mut *db).await?;
    }
    Ok(())
}
