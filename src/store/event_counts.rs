//! Table `event_counts`: how many events of each kind a log took in each hour. Written with the events; for charts.

use super::{Connection, StoreError, column, placeholders, unsigned};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// Events of one kind in one hour of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCount {
    /// Whose log.
    pub tenant: String,
    /// Hours since 1970.
    pub hour: i64,
    /// Dotted name of the event.
    pub kind: String,
    /// How many.
    pub events: u64,
}

fn read(row: &AnyRow) -> Result<EventCount, StoreError> {
    Ok(EventCount {
        tenant: column(row, "tenant")?,
        hour: column(row, "hour")?,
        kind: column(row, "kind")?,
        events: unsigned(row, "events")?,
    })
}

/// Adds to what was counted before; at least one, and none twice.
pub(crate) async fn add(db: &mut Connection, counts: &[EventCount]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO event_counts (tenant, hour, kind, events) VALUES {}
         ON CONFLICT (tenant, hour, kind) DO UPDATE SET events = event_counts.events + excluded.events",
        placeholders(counts.len(), 4)
    );
    let query = counts.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, count| {
        query.bind(&count.tenant).bind(count.hour).bind(&count.kind).bind(count.events.cast_signed())
    });
    query.execute(db).await?;
    Ok(())
}

/// What was counted of a log since this hour, by hour.
pub(crate) async fn since(db: &mut Connection, tenant: &str, hour: i64) -> Result<Vec<EventCount>, StoreError> {
    let sql =
        "SELECT tenant, hour, kind, events FROM event_counts WHERE tenant = $1 AND hour >= $2 ORDER BY hour, kind";
    sqlx::query(sql).bind(tenant).bind(hour).fetch_all(db).await?.iter().map(read).collect()
}

/// Forgets what was counted before this hour.
pub(crate) async fn forget(db: &mut Connection, before: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM event_counts WHERE hour < $1").bind(before).execute(db).await?;
    Ok(())
}
