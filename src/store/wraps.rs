//! Table `wraps`: what opens a record, under the customer's KEKs.

use super::keks::Kek;
use super::{Connection, StoreError, column, list, parsed, placeholders, stored_words};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

stored_words! {
    /// What of a record's wrapping secret a wrap holds.
    Slot {
        /// All of it.
        Whole = "whole",
        /// All of it once more, for when the KEK of `whole` cannot be reached.
        Standby = "standby",
        /// A share, of no use without `second`.
        First = "first",
        /// A share, of no use without `first`.
        Second = "second",
    }
}

/// A wrapping secret, or a share of it, with the record's context under one KEK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// Whose.
    pub record: Uuid,
    /// What it holds.
    pub slot: Slot,
    /// The KEK that wrapped.
    pub kek: Uuid,
    /// Which of its versions, as the broker counts them.
    pub kek_version: u64,
    /// The provider's own version of that KEK, empty where it has none.
    pub vendor_version: String,
    /// The provider's bytes.
    pub wrapped: Vec<u8>,
}

const COLUMNS: &str = "record, slot, kek, kek_version, vendor_version, wrapped";

fn read(row: &AnyRow) -> Result<Wrap, StoreError> {
    Ok(Wrap {
        record: parsed(row, "record")?,
        slot: parsed(row, "slot")?,
        kek: parsed(row, "kek")?,
        kek_version: column::<i64>(row, "kek_version")?.unsigned_abs(),
        vendor_version: column(row, "vendor_version")?,
        wrapped: column(row, "wrapped")?,
    })
}

/// The wraps of these records, by record.
pub(crate) async fn of_records(db: &mut Connection, records: &[Uuid]) -> Result<Vec<Wrap>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM wraps WHERE record IN {} ORDER BY record, slot", list(records.len()));
    let query = records.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// The wraps of these records, each with its KEK. A KEK of another tenant is for the gate to refuse, with its reason.
pub(crate) async fn with_keks(db: &mut Connection, records: &[Uuid]) -> Result<Vec<(Wrap, Kek)>, StoreError> {
    let sql = format!(
        "SELECT w.record, w.slot, w.kek, w.kek_version, w.vendor_version, w.wrapped,
           k.id, k.tenant, k.provider, k.key_name, k.version, k.state, k.created_at
         FROM wraps w JOIN keks k ON k.id = w.kek WHERE w.record IN {}",
        list(records.len())
    );
    let query = records.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    let read = |row: &AnyRow| Ok((read(row)?, super::keks::read(row)?));
    query.fetch_all(db).await?.iter().map(read).collect()
}

pub(crate) async fn insert_all(db: &mut Connection, wraps: &[&Wrap]) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO wraps ({COLUMNS}) VALUES {}", placeholders(wraps.len(), 6));
    let query = wraps.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, wrap| {
        query
            .bind(wrap.record.to_string())
            .bind(wrap.slot.as_str())
            .bind(wrap.kek.to_string())
            .bind(wrap.kek_version.cast_signed())
            .bind(&wrap.vendor_version)
            .bind(&wrap.wrapped[..])
    });
    query.execute(db).await?;
    Ok(())
}

/// Forgets all wraps of these records.
pub(crate) async fn delete_of(db: &mut Connection, records: &[Uuid]) -> Result<(), StoreError> {
    let sql = format!("DELETE FROM wraps WHERE record IN {}", list(records.len()));
    let query = records.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.execute(db).await?;
    Ok(())
}
