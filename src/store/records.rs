//! Table `records`: what devices backed up, wrapped.

use super::keks::Kek;
use super::wraps::{self, Wrap};
use super::{Connection, StoreError, column, hash32, list, parsed, placeholders, unsigned};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A wrapped record: everything to restore it but the KEK.
#[derive(Debug, Clone)]
pub struct Record {
    /// Chosen by the device; part of the context.
    pub id: Uuid,
    /// Whose.
    pub tenant: String,
    /// Whose within the tenant.
    pub user: String,
    /// For example `identity`.
    pub kind: String,
    /// Grows with every backup of a kind.
    pub generation: u64,
    /// The device that backed it up.
    pub device: Uuid,
    /// The cipher suite of the bundle.
    pub suite: u16,
    /// Commits to the data key (protocol, section 3).
    pub commitment: [u8; 32],
    /// The key material as the device encrypted it.
    pub bundle: Vec<u8>,
    /// The leaf that says it was wrapped.
    pub leaf_index: u64,
    /// Unix milliseconds.
    pub created_at: i64,
}

/// A record without its ciphertexts, for lists.
#[derive(Debug, Clone)]
pub struct RecordSummary {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user: String,
    /// For example `identity`.
    pub kind: String,
    /// Grows with every backup of a kind.
    pub generation: u64,
    /// The device that backed it up.
    pub device: Uuid,
    /// The cipher suite of the bundle.
    pub suite: u16,
    /// Unix milliseconds.
    pub created_at: i64,
}

impl Record {
    /// The same without its ciphertexts.
    #[must_use]
    pub fn summary(&self) -> RecordSummary {
        RecordSummary {
            id: self.id,
            user: self.user.clone(),
            kind: self.kind.clone(),
            generation: self.generation,
            device: self.device,
            suite: self.suite,
            created_at: self.created_at,
        }
    }
}

/// A record with what opens it, and whether it is the newest of its line: all that a release looks at.
#[derive(Debug, Clone)]
pub struct Restorable {
    /// The record.
    pub record: Record,
    /// Whether its user has none of its kind that is newer.
    pub newest: bool,
    /// Each wrap with its KEK; none when the record is shredded.
    pub wraps: Vec<(Wrap, Kek)>,
}

/// Names a line of records of which only the generation grows: tenant, user, kind.
pub type Line = (String, String, String);

const COLUMNS: &str =
    "id, tenant, user_id, kind, generation, device, suite, commitment, bundle, leaf_index, created_at";

fn suite(row: &AnyRow) -> Result<u16, StoreError> {
    u16::try_from(column::<i64>(row, "suite")?).map_err(|_| StoreError::Corrupt { column: "suite" })
}

fn read(row: &AnyRow) -> Result<Record, StoreError> {
    Ok(Record {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        user: column(row, "user_id")?,
        kind: column(row, "kind")?,
        generation: unsigned(row, "generation")?,
        device: parsed(row, "device")?,
        suite: suite(row)?,
        commitment: hash32(row, "commitment")?,
        bundle: column(row, "bundle")?,
        leaf_index: unsigned(row, "leaf_index")?,
        created_at: column(row, "created_at")?,
    })
}

fn read_summary(row: &AnyRow) -> Result<RecordSummary, StoreError> {
    Ok(RecordSummary {
        id: parsed(row, "id")?,
        user: column(row, "user_id")?,
        kind: column(row, "kind")?,
        generation: unsigned(row, "generation")?,
        device: parsed(row, "device")?,
        suite: suite(row)?,
        created_at: column(row, "created_at")?,
    })
}

/// The newest generation of the line of the record `r`, as column `newest`.
const NEWEST: &str = "(SELECT MAX(n.generation) FROM records n \
                      WHERE n.tenant = r.tenant AND n.user_id = r.user_id AND n.kind = r.kind)";

fn is_newest(row: &AnyRow) -> Result<bool, StoreError> {
    Ok(unsigned(row, "generation")? == unsigned(row, "newest")?)
}

fn read_ranked(row: &AnyRow) -> Result<(RecordSummary, bool), StoreError> {
    Ok((read_summary(row)?, is_newest(row)?))
}

/// These records with what opens them, in no order.
pub(crate) async fn restorable(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<Restorable>, StoreError> {
    let sql = format!(
        "SELECT r.id, r.tenant, r.user_id, r.kind, r.generation, r.device, r.suite, r.commitment, r.bundle,
           r.leaf_index, r.created_at, {NEWEST} AS newest
         FROM records r WHERE r.id IN {}",
        list(ids.len())
    );
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    let rows = query.fetch_all(&mut *db).await?;
    let mut wraps = wraps::with_keks(db, ids).await?;
    let read = |row: &AnyRow| {
        let (record, newest) = (read(row)?, is_newest(row)?);
        Ok(Restorable { wraps: wraps.remove(&record.id).unwrap_or_default(), record, newest })
    };
    rows.iter().map(read).collect()
}

/// At most so many of the tenant's records, drawn at random; none that are shredded.
pub(crate) async fn sample(db: &mut Connection, tenant: &str, size: u16) -> Result<Vec<Uuid>, StoreError> {
    let sql = "SELECT r.id FROM records r WHERE r.tenant = $1 AND EXISTS (SELECT 1 FROM wraps w WHERE w.record = r.id)
               ORDER BY random() LIMIT $2";
    let rows = sqlx::query(sql).bind(tenant).bind(i64::from(size)).fetch_all(db).await?;
    rows.iter().map(|row| parsed(row, "id")).collect()
}

/// These records without their ciphertexts, each with all that opens it, in no order. Shredded ones are left out.
pub(crate) async fn openable(
    db: &mut Connection,
    ids: &[Uuid],
) -> Result<Vec<(RecordSummary, Vec<(Wrap, Kek)>)>, StoreError> {
    let mut wraps = wraps::with_keks(db, ids).await?;
    let records = summaries(db, ids).await?.into_iter();
    Ok(records.filter_map(|record| wraps.remove(&record.id).map(|wraps| (record, wraps))).collect())
}

/// These records without their ciphertexts, in no order.
async fn summaries(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<RecordSummary>, StoreError> {
    let sql = format!(
        "SELECT id, user_id, kind, generation, device, suite, created_at FROM records WHERE id IN {}",
        list(ids.len())
    );
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(read_summary).collect()
}

/// Those of these records that are the user's, each with whether it is the newest of its kind; in no order.
pub(crate) async fn of_user_among(
    db: &mut Connection,
    (tenant, user): (&str, &str),
    ids: &[Uuid],
) -> Result<Vec<(RecordSummary, bool)>, StoreError> {
    let sql = format!(
        "SELECT r.id, r.user_id, r.kind, r.generation, r.device, r.suite, r.created_at, {NEWEST} AS newest
         FROM records r WHERE r.tenant = ? AND r.user_id = ? AND r.id IN {}",
        list(ids.len())
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(user);
    let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(read_ranked).collect()
}

/// The user's newest record of each of these kinds that has any, in no order.
pub(crate) async fn newest_of_user(
    db: &mut Connection,
    (tenant, user): (&str, &str),
    kinds: &[&str],
) -> Result<Vec<(RecordSummary, bool)>, StoreError> {
    let sql = format!(
        "SELECT r.id, r.user_id, r.kind, r.generation, r.device, r.suite, r.created_at, r.generation AS newest
         FROM (VALUES {}) AS asked JOIN records r ON r.kind = asked.column1 AND r.tenant = ? AND r.user_id = ?
           AND r.generation = (SELECT MAX(n.generation) FROM records n
                               WHERE n.tenant = ? AND n.user_id = ? AND n.kind = asked.column1)",
        placeholders(kinds.len(), 1)
    );
    let query = kinds.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, kind| query.bind(*kind));
    let query = query.bind(tenant).bind(user).bind(tenant).bind(user);
    query.fetch_all(db).await?.iter().map(read_ranked).collect()
}

pub(crate) async fn find_all(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<Record>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM records WHERE id IN {}", list(ids.len()));
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// Which of these ids are taken.
pub(crate) async fn taken_among(db: &mut Connection, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let sql = format!("SELECT id FROM records WHERE id IN {}", list(ids.len()));
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(|row| parsed(row, "id")).collect()
}

/// The newest generation of each of these lines that has any.
pub(crate) async fn newest_generations(db: &mut Connection, lines: &[Line]) -> Result<Vec<(Line, u64)>, StoreError> {
    // One search of the index per line: with `IN (VALUES ..)` SQLite would scan all of it.
    let sql = format!(
        "SELECT tenant, user_id, kind, generation FROM
           (SELECT asked.column1 AS tenant, asked.column2 AS user_id, asked.column3 AS kind,
              (SELECT MAX(r.generation) FROM records r WHERE r.tenant = asked.column1
                 AND r.user_id = asked.column2 AND r.kind = asked.column3) AS generation
            FROM (VALUES {}) AS asked) AS newest
         WHERE generation IS NOT NULL",
        placeholders(lines.len(), 3)
    );
    let query = lines
        .iter()
        .fold(sqlx::query(AssertSqlSafe(sql)), |q, (tenant, user, kind)| q.bind(tenant).bind(user).bind(kind));
    let read = |row: &AnyRow| {
        let line = (column(row, "tenant")?, column(row, "user_id")?, column(row, "kind")?);
        Ok((line, unsigned(row, "generation")?))
    };
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// All records of a user, by kind, newest generation first.
pub(crate) async fn of_user(db: &mut Connection, tenant: &str, user: &str) -> Result<Vec<RecordSummary>, StoreError> {
    let sql = "SELECT id, user_id, kind, generation, device, suite, created_at FROM records
               WHERE tenant = $1 AND user_id = $2 ORDER BY kind, generation DESC";
    sqlx::query(sql).bind(tenant).bind(user).fetch_all(db).await?.iter().map(read_summary).collect()
}

/// The records of a tenant after `after`, by id; only those of `user` where there is one.
pub(crate) async fn page(
    db: &mut Connection,
    tenant: &str,
    user: Option<&str>,
    (after, limit): (&str, i64),
) -> Result<Vec<RecordSummary>, StoreError> {
    let of_user = user.map_or("", |_| "AND user_id = ?");
    let sql = format!(
        "SELECT id, user_id, kind, generation, device, suite, created_at FROM records
         WHERE tenant = ? {of_user} AND id > ? ORDER BY id LIMIT ?"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant);
    let query = user.into_iter().fold(query, |query, user| query.bind(user));
    query.bind(after).bind(limit).fetch_all(db).await?.iter().map(read_summary).collect()
}

pub(crate) async fn insert_all(db: &mut Connection, records: &[Record]) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO records ({COLUMNS}) VALUES {}", placeholders(records.len(), 11));
    let query = records.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, record| {
        query
            .bind(record.id.to_string())
            .bind(&record.tenant)
            .bind(&record.user)
            .bind(&record.kind)
            .bind(record.generation.cast_signed())
            .bind(record.device.to_string())
            .bind(i64::from(record.suite))
            .bind(&record.commitment[..])
            .bind(&record.bundle[..])
            .bind(record.leaf_index.cast_signed())
            .bind(record.created_at)
    });
    query.execute(db).await?;
    Ok(())
}
