//! One file per table. One SQL text for SQLite and PostgreSQL; every write runs on the committer's connection.

pub(crate) mod admins;
pub(crate) mod approvals;
pub(crate) mod broker_keys;
pub(crate) mod budgets;
pub(crate) mod cosignatures;
pub(crate) mod cursors;
pub(crate) mod dead_letters;
pub(crate) mod destructions;
pub(crate) mod devices;
pub(crate) mod enrolment_codes;
pub(crate) mod event_counts;
pub(crate) mod frozen_logs;
pub(crate) mod keks;
pub(crate) mod locks;
pub(crate) mod log;
pub(crate) mod nonces;
pub(crate) mod notices;
pub(crate) mod passkey_counters;
pub(crate) mod policy_versions;
pub(crate) mod records;
pub(crate) mod replays;
pub(crate) mod restores;
pub(crate) mod rewraps;
pub(crate) mod subjects;
pub(crate) mod tenants;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod wraps;

use serde::{Deserialize, Serialize};
use sqlx::any::{AnyPoolOptions, AnyRow, install_default_drivers};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor, Row, SqlSafeStr, pool::PoolConnection};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The connection that rows are read from and written to.
pub(crate) type Connection = AnyConnection;

/// The database failed, or holds what no version of this program wrote. Nothing may be released on it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine refused or broke; whether a write happened is unknown.
    #[error("the database failed")]
    Engine(#[from] sqlx::Error),
    /// Another broker runs on this database. Two would overwrite each other's sinks and end each other's releases.
    #[error("another broker has this database open")]
    InUse,
    /// The lock beside the database cannot be made or taken.
    #[error("the database's lock file is unusable")]
    Lock(#[source] io::Error),
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A stored value is not one this program writes.
    #[error("column `{column}` holds a value that this version does not know")]
    Corrupt {
        /// The column of the value.
        column: &'static str,
    },
}

/// The database: many readers, one writer.
#[derive(Debug, Clone)]
pub struct Store {
    readers: AnyPool,
    writer: AnyPool,
    url: String,
    /// Held for as long as the database is open; the system gives it back when the process ends.
    _lock: Arc<File>,
}

impl Store {
    /// Opens the SQLite database at `path` for this process alone, creating and migrating it as needed.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        install_default_drivers();
        let lock = Arc::new(lock(path)?);
        let url = format!("sqlite:{}", path.display());
        let writer = pool(1).connect(&format!("{url}?mode=rwc")).await?;
        migrator().run(&writer).await?;
        let readers = pool(4).connect(&url).await?;
        Ok(Self { readers, writer, url, _lock: lock })
    }

    /// The same database, with readers of its own: whoever reads much must not take those of requests. They inherit the
    /// priority of the thread that calls.
    pub(crate) async fn with_own_readers(&self) -> Result<Self, StoreError> {
        let readers = pool(2).connect(&self.url).await?;
        Ok(Self { readers, ..self.clone() })
    }

    /// A connection that only reads.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<sqlx::Any>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// The one connection that writes; the committer's alone.
    pub(crate) async fn writer(&self) -> Result<PoolConnection<sqlx::Any>, StoreError> {
        Ok(self.writer.acquire().await?)
    }

    /// Waits for running statements and closes the files.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Moves the write-ahead log into the database file and empties it: what was overwritten there is gone here too.
/// `false` while somebody reads.
pub(crate) async fn empty_journal(db: &mut Connection) -> Result<bool, StoreError> {
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(db).await?;
    Ok(column::<i64>(&row, "busy")? == 0)
}

/// Takes `<path>.lock`. A file of its own: SQLite's locks on the database would be lost with any other handle to it.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let file = File::create(PathBuf::from(name)).map_err(StoreError::Lock)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(StoreError::Lock(error)),
    }
}

fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // SQLite ends a transaction by itself when the disk fails; sqlx counts it as open and begins no other.
        .after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .after_connect(|connection, _| {
            Box::pin(async move {
                // FULL: a commit that was answered survives a power cut. The pages of deleted rows are overwritten.
                connection
                    .execute(
                        "PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                         PRAGMA secure_delete = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;",
                    )
                    .await
                    .map(|_| ())
            })
        })
}

fn migrator() -> Migrator {
    let start = include_str!("migrations/0001_start.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "start".into(), MigrationType::Simple, start, false)])
}

/// `(?,?),(?,?)`: the placeholders of `rows` rows of `columns` columns each.
///
/// Without numbers: SQLite, and its driver once more, would search the list of all numbers for each of them, which makes
/// a thousand cost a million. PostgreSQL wants `$1` and has no such list; this is the one place that knows.
fn placeholders(rows: usize, columns: usize) -> String {
    let row = list(columns);
    vec![row.as_str(); rows].join(",")
}

/// `(?,?,?)`: the placeholders of a list of `len` values.
fn list(len: usize) -> String {
    format!("({})", vec!["?"; len].join(","))
}

/// Reads one column, telling its name when it does not hold what this program writes.
fn column<'r, T>(row: &'r AnyRow, name: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
{
    row.try_get(name).map_err(|_| StoreError::Corrupt { column: name })
}

/// Reads a count, a size or an index: none is below zero.
fn unsigned(row: &AnyRow, name: &'static str) -> Result<u64, StoreError> {
    u64::try_from(column::<i64>(row, name)?).map_err(|_| StoreError::Corrupt { column: name })
}

/// Reads a column whose text has a type of its own.
fn parsed<T: std::str::FromStr>(row: &AnyRow, name: &'static str) -> Result<T, StoreError> {
    column::<String>(row, name)?.parse().map_err(|_| StoreError::Corrupt { column: name })
}

/// Reads a column of exactly 32 bytes.
fn hash32(row: &AnyRow, name: &'static str) -> Result<[u8; 32], StoreError> {
    column::<Vec<u8>>(row, name)?.try_into().map_err(|_| StoreError::Corrupt { column: name })
}

/// Names an enum's variants as stored, shown and sent: one word for each.
macro_rules! stored_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// The word as it is stored and sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(word: &str) -> Result<Self, ()> {
                match word { $($word => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }
    };
}
pub(crate) use stored_words;

stored_words! {
    /// Whether a tenant, user, device or KEK may be used. In this order, each takes away more.
    #[derive(PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Standing {
        /// May be used.
        Active = "active",
        /// Waits for an approval.
        Pending = "pending",
        /// Taken away for good.
        Revoked = "revoked",
    }
}
