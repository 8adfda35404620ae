//! Table `replays`: ranges that operators want delivered once more, until they are.

use super::{Connection, StoreError, column, parsed, unsigned};
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A range to be delivered again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Its id; ids follow the order of orders.
    pub id: Uuid,
    /// Whose log.
    pub tenant: String,
    /// The lowest index not confirmed again.
    pub next: u64,
    /// The first index beyond.
    pub to: u64,
}

fn read(row: &AnyRow) -> Result<Replay, StoreError> {
    Ok(Replay {
        id: parsed(row, "id")?,
        tenant: column(row, "tenant")?,
        next: unsigned(row, "next_index")?,
        to: unsigned(row, "to_index")?,
    })
}

/// Those of a sink, oldest first.
pub(crate) async fn of_sink(db: &mut Connection, sink: &str) -> Result<Vec<Replay>, StoreError> {
    let sql = "SELECT id, tenant, next_index, to_index FROM replays WHERE sink = $1 ORDER BY id";
    sqlx::query(sql).bind(sink).fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert(db: &mut Connection, sink: &str, replay: &Replay) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO replays (id, tenant, sink, next_index, to_index) VALUES ($1,$2,$3,$4,$5)")
        .bind(replay.id.to_string())
        .bind(&replay.tenant)
        .bind(sink)
        .bind(replay.next.cast_signed())
        .bind(replay.to.cast_signed())
        .execute(db)
        .await?;
    Ok(())
}

/// Saves how far a replay is; one that is through is removed.
pub(crate) async fn save(db: &mut Connection, replay: &Replay) -> Result<(), StoreError> {
    let id = replay.id.to_string();
    let query = if replay.next < replay.to {
        let sql = "UPDATE replays SET next_index = $1 WHERE id = $2";
        sqlx::query(sql).bind(replay.next.cast_signed()).bind(id)
    } else {
        sqlx::query("DELETE FROM replays WHERE id = $1").bind(id)
    };
    query.execute(db).await?;
    Ok(())
}
