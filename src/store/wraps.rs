//! Table `wraps`: what opens a record, under the customer's KEKs.

use super::keks::{self, Kek};
use super::tenants::Protection;
use super::{Connection, StoreError, column, list, parsed, placeholders, stored_words};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use std::collections::HashMap;
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
pub(crate) async fn with_keks(
    db: &mut Connection,
    records: &[Uuid],
) -> Result<HashMap<Uuid, Vec<(Wrap, Kek)>>, StoreError> {
    let sql = format!(
        "SELECT w.record, w.slot, w.kek, w.kek_version, w.vendor_version, w.wrapped,
           k.id, k.tenant, k.provider, k.key_name, k.version, k.state, k.created_at
         FROM wraps w JOIN keks k ON k.id = w.kek WHERE w.record IN {}",
        list(records.len())
    );
    let query = records.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    let mut wraps: HashMap<Uuid, Vec<(Wrap, Kek)>> = HashMap::new();
    for row in query.fetch_all(db).await? {
        let wrap = read(&row)?;
        wraps.entry(wrap.record).or_default().push((wrap, super::keks::read(&row)?));
    }
    Ok(wraps)
}

/// How many wraps there are under each KEK by each of its provider's versions. Reads the whole table.
pub(crate) async fn count_all(db: &mut Connection) -> Result<Vec<(Kek, String, u64)>, StoreError> {
    let sql =
        "SELECT k.id, k.tenant, k.provider, k.key_name, k.version, k.state, k.created_at, w.vendor_version, w.wraps
               FROM (SELECT kek, vendor_version, COUNT(*) AS wraps FROM wraps GROUP BY kek, vendor_version) w
               JOIN keks k ON k.id = w.kek";
    let read = |row: &AnyRow| {
        let wraps = column::<i64>(row, "wraps")?.unsigned_abs();
        Ok((super::keks::read(row)?, column(row, "vendor_version")?, wraps))
    };
    sqlx::query(sql).fetch_all(db).await?.iter().map(read).collect()
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

/// What a current wrap of a tenant's records looks like, one for each slot.
pub(crate) type Wanted = [(Slot, Uuid, u64)];

/// How many records have a wrap in this slot under this version of this KEK.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// What the wraps hold.
    pub slot: Slot,
    /// The KEK that wrapped.
    pub kek: Uuid,
    /// Which of its versions.
    pub kek_version: u64,
    /// How many.
    pub records: u64,
}

/// All wraps of a tenant, counted by what they are under; read from an index alone.
pub(crate) async fn census(db: &mut Connection, tenant: &str) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT w.slot, w.kek, w.kek_version, COUNT(*) AS records FROM keks k JOIN wraps w ON w.kek = k.id
               WHERE k.tenant = $1 GROUP BY w.kek, w.kek_version, w.slot";
    let read = |row: &AnyRow| {
        let number = |name| column::<i64>(row, name).map(i64::unsigned_abs);
        Ok(Held {
            slot: parsed(row, "slot")?,
            kek: parsed(row, "kek")?,
            kek_version: number("kek_version")?,
            records: number("records")?,
        })
    };
    sqlx::query(sql).bind(tenant).fetch_all(db).await?.iter().map(read).collect()
}

/// How many of the tenant's records must still be wrapped anew until every one has the wraps that this protection asks for
/// and no other, whatever its KEKs' states. Zero is exact.
pub(crate) async fn remaining(db: &mut Connection, tenant: &str, protection: Protection) -> Result<u64, StoreError> {
    let found = keks::find_all(db, &protection.keks().collect::<Vec<_>>()).await?;
    let version = |id: Uuid| found.iter().find(|kek| kek.id == id).map_or(0, |kek| kek.version);
    let wanted: Vec<_> = protection.slots().map(|(slot, kek)| (slot, kek, version(kek))).collect();
    Ok(unlike(&census(db, tenant).await?, &wanted))
}

fn unlike(census: &[Held], wanted: &Wanted) -> u64 {
    let is_wanted = |held: &&Held| wanted.contains(&(held.slot, held.kek, held.kek_version));
    // Each record that can be opened has one of these, and one only.
    let all: u64 = census.iter().filter(|held| matches!(held.slot, Slot::Whole | Slot::First)).map(|h| h.records).sum();
    let done = |(slot, kek, version): &(Slot, Uuid, u64)| {
        let same = |held: &&Held| (held.slot, held.kek, held.kek_version) == (*slot, *kek, *version);
        census.iter().find(same).map_or(0, |held| held.records)
    };
    let missing = all.saturating_sub(wanted.iter().map(done).min().unwrap_or(0));
    let unwanted = census.iter().filter(|held| !is_wanted(held)).map(|held| held.records).max().unwrap_or(0);
    missing.max(unwanted)
}

/// The tenant's records after `after`, by id, that have not exactly the wanted wraps. Shredded ones have none, and are done.
pub(crate) async fn stale(
    db: &mut Connection,
    tenant: &str,
    wanted: &Wanted,
    (after, limit): (&str, i64),
) -> Result<Vec<Uuid>, StoreError> {
    let same = vec!["(w.slot = ? AND w.kek = ? AND w.kek_version = ?)"; wanted.len()].join(" OR ");
    let sql = format!(
        "SELECT r.id, (SELECT COUNT(*) FROM wraps w WHERE w.record = r.id) AS wraps FROM records r
         WHERE r.tenant = ? AND r.id > ? AND wraps > 0
           AND (wraps <> ? OR (SELECT COUNT(*) FROM wraps w WHERE w.record = r.id AND ({same})) <> ?)
         ORDER BY r.id LIMIT ?"
    );
    let slots = i64::try_from(wanted.len()).map_err(|_| StoreError::Corrupt { column: "slot" })?;
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(after).bind(slots);
    let query = wanted.iter().fold(query, |query, (slot, kek, version)| {
        query.bind(slot.as_str()).bind(kek.to_string()).bind(version.cast_signed())
    });
    query.bind(slots).bind(limit).fetch_all(db).await?.iter().map(|row| parsed(row, "id")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Held, Slot, unlike};
    use uuid::Uuid;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    fn held(slot: Slot, kek: Uuid, kek_version: u64, records: u64) -> Held {
        Held { slot, kek, kek_version, records }
    }

    #[test]
    fn what_remains_is_zero_only_when_every_record_is_as_wanted() {
        let one = [(Slot::Whole, A, 2)];
        let both = [(Slot::First, A, 1), (Slot::Second, B, 1)];
        let either = [(Slot::Whole, A, 1), (Slot::Standby, B, 1)];
        assert_eq!(unlike(&[], &one), 0);
        assert_eq!(unlike(&[held(Slot::Whole, A, 2, 9)], &one), 0);
        assert_eq!(unlike(&[held(Slot::Whole, A, 1, 4), held(Slot::Whole, A, 2, 5)], &one), 4, "an older version");
        assert_eq!(unlike(&[held(Slot::Whole, A, 2, 5), held(Slot::Standby, B, 1, 2)], &one), 2, "a standby too many");
        assert_eq!(unlike(&[held(Slot::Whole, A, 1, 5), held(Slot::Standby, B, 1, 2)], &either), 3);
        assert_eq!(unlike(&[held(Slot::Whole, A, 1, 5)], &both), 5);
        assert_eq!(unlike(&[held(Slot::First, A, 1, 5), held(Slot::Second, B, 1, 5)], &both), 0);
    }
}
