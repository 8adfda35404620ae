//! Table `cursors`: per tenant and sink, the lowest index not yet confirmed. It may lag; it never leads.

use super::{Connection, StoreError, column, placeholders, unsigned};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// Rows that one statement writes: below SQLite's limit of values.
const ROWS: usize = 1_000;

/// How far a sink is with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Whose log.
    pub tenant: String,
    /// The lowest index not confirmed.
    pub next: u64,
    /// Events that the receiver took.
    pub sent: u64,
    /// Events that this sink does not get.
    pub filtered: u64,
    /// Unix milliseconds of the last confirmation.
    pub confirmed_at: Option<i64>,
    /// Whether an operator has paused it.
    pub paused: bool,
}

/// A log of which a sink has not confirmed everything.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Whose log.
    pub tenant: String,
    /// Number of leaves.
    pub size: u64,
    /// Unix milliseconds of the first event that is not confirmed, where its id tells.
    pub oldest_at: Option<i64>,
}

fn read(row: &AnyRow) -> Result<Cursor, StoreError> {
    Ok(Cursor {
        tenant: column(row, "tenant")?,
        next: unsigned(row, "next_index")?,
        sent: unsigned(row, "sent")?,
        filtered: unsigned(row, "filtered")?,
        confirmed_at: column(row, "confirmed_at")?,
        paused: column::<i64>(row, "paused")? != 0,
    })
}

pub(crate) async fn of_sink(db: &mut Connection, sink: &str) -> Result<Vec<Cursor>, StoreError> {
    let sql = "SELECT tenant, next_index, sent, filtered, confirmed_at, paused FROM cursors WHERE sink = $1";
    sqlx::query(sql).bind(sink).fetch_all(db).await?.iter().map(read).collect()
}

/// The logs that `sink` is behind of.
pub(crate) async fn behind(db: &mut Connection, sink: &str) -> Result<Vec<Behind>, StoreError> {
    let sql = "SELECT h.tenant AS tenant, h.size AS size, l.jti AS oldest
               FROM log_heads h LEFT JOIN cursors c ON c.tenant = h.tenant AND c.sink = $1
               LEFT JOIN leaves l ON l.tenant = h.tenant AND l.leaf_index = COALESCE(c.next_index, 0)
               WHERE h.size > COALESCE(c.next_index, 0)";
    let read = |row: &AnyRow| {
        let oldest: Option<String> = column(row, "oldest")?;
        let oldest_at = oldest.and_then(|jti| unix_ms(&jti));
        Ok(Behind { tenant: column(row, "tenant")?, size: unsigned(row, "size")?, oldest_at })
    };
    sqlx::query(sql).bind(sink).fetch_all(db).await?.iter().map(read).collect()
}

/// The time in a UUIDv7.
pub(crate) fn unix_ms(jti: &str) -> Option<i64> {
    let (seconds, nanoseconds) = jti.parse::<Uuid>().ok()?.get_timestamp()?.to_unix();
    i64::try_from(seconds * 1_000 + u64::from(nanoseconds) / 1_000_000).ok()
}

/// Saves how far `sink` is. A cursor never goes back: what an operator has given up meanwhile stays so.
pub(crate) async fn save(db: &mut Connection, sink: &str, cursors: &[Cursor]) -> Result<(), StoreError> {
    for cursors in cursors.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO cursors (tenant, sink, next_index, sent, filtered, confirmed_at) VALUES {}
             ON CONFLICT (tenant, sink) DO UPDATE SET sent = excluded.sent, filtered = excluded.filtered,
               confirmed_at = excluded.confirmed_at, next_index =
               CASE WHEN excluded.next_index > cursors.next_index THEN excluded.next_index ELSE cursors.next_index END",
            placeholders(cursors.len(), 6)
        );
        let query = cursors.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, cursor| {
            query
                .bind(&cursor.tenant)
                .bind(sink)
                .bind(cursor.next.cast_signed())
                .bind(cursor.sent.cast_signed())
                .bind(cursor.filtered.cast_signed())
                .bind(cursor.confirmed_at)
        });
        query.execute(&mut *db).await?;
    }
    Ok(())
}

pub(crate) async fn set_paused(
    db: &mut Connection,
    (tenant, sink): (&str, &str),
    paused: bool,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO cursors (tenant, sink, next_index, paused) VALUES ($1,$2,0,$3)
               ON CONFLICT (tenant, sink) DO UPDATE SET paused = excluded.paused";
    sqlx::query(sql).bind(tenant).bind(sink).bind(i64::from(paused)).execute(db).await?;
    Ok(())
}

/// Gives up what is before `next`.
pub(crate) async fn skip_to(db: &mut Connection, (tenant, sink): (&str, &str), next: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO cursors (tenant, sink, next_index) VALUES ($1,$2,$3)
               ON CONFLICT (tenant, sink) DO UPDATE SET next_index = excluded.next_index
               WHERE excluded.next_index > cursors.next_index";
    sqlx::query(sql).bind(tenant).bind(sink).bind(next.cast_signed()).execute(db).await?;
    Ok(())
}
