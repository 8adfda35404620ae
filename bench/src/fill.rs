//! Fills a stopped broker's database with records that nobody restores: copies of a real one, under other names.

use crate::Failure;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor};
use std::path::Path;

/// Real rows go so far apart that the others lie between them: no page may hold only what is asked for.
const STRIDE: i64 = 997;

/// Brings the table `records` to `total` rows; ids and owners of the new ones are random.
pub async fn fill(database: &Path, total: i64) -> Result<(), Failure> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-2000000");
    let mut db = options.connect().await?;
    let real: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM records").fetch_one(&mut db).await?;
    if real > 0 && real < total {
        let mut transaction = db.begin().await?;
        let spread = format!("UPDATE records SET rowid = -rowid; UPDATE records SET rowid = rowid * -{STRIDE};");
        transaction.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(spread))).await?;
        sqlx::query(COPIES).bind(total - real).bind(STRIDE).execute(&mut *transaction).await?;
        sqlx::query(WRAPS).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    Ok(db.close().await?)
}

/// Row `n` of the copies goes to the `n`th row id that no real row has.
const COPIES: &str = "
    WITH RECURSIVE copies(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM copies WHERE n + 1 < $1),
    named AS MATERIALIZED (SELECT n, lower(hex(randomblob(16))) AS name FROM copies),
    model AS MATERIALIZED (SELECT * FROM records LIMIT 1)
    INSERT INTO records (rowid, id, tenant, user_id, kind, generation, device, suite,
                         commitment, bundle, leaf_index, created_at)
    SELECT n + 1 + n / ($2 - 1),
           substr(name, 1, 8) || '-' || substr(name, 9, 4) || '-4' || substr(name, 14, 3) || '-8' ||
             substr(name, 18, 3) || '-' || substr(name, 21, 12),
           tenant, 'filler-' || substr(name, 1, 16), kind, generation, device, suite,
           commitment, bundle, leaf_index, created_at
    FROM named, model";

/// What opens each copy: something of the right form.
const WRAPS: &str = "
    WITH model AS MATERIALIZED (SELECT * FROM wraps LIMIT 1)
    INSERT INTO wraps (record, slot, kek, kek_version, vendor_version, wrapped)
    SELECT r.id, m.slot, m.kek, m.kek_version, m.vendor_version, m.wrapped FROM records r, model m
    WHERE r.user_id LIKE 'filler-%'";
