//! Tables `subjects`, the key that each person's disclosures are sealed under, and `erasures`, what is left to do for those
//! whose key was destroyed.

use super::{Connection, StoreError, column, parsed};
use sqlx::any::AnyRow;
use uuid::Uuid;

/// Begins the subject of a leaf about an erased person; no user id holds it. The erasure's id follows, or nothing where
/// the event happened after it.
const ERASED: char = '#';

/// The subject of what happens to an erased person later: it has no key, and never had one.
#[must_use]
pub fn nobody() -> String {
    ERASED.into()
}

/// The erasure that a leaf's subject tells of.
#[must_use]
pub fn erasure(subject: &str) -> Option<Uuid> {
    subject.strip_prefix(ERASED)?.parse().ok()
}

/// An erasure whose key is destroyed, and which is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The `cor` of its `subject.erased`.
    pub id: Uuid,
    /// Whose user.
    pub tenant: String,
    /// Who was erased.
    pub user: String,
}

fn read(row: &AnyRow) -> Result<Erasure, StoreError> {
    Ok(Erasure { id: parsed(row, "id")?, tenant: column(row, "tenant")?, user: column(row, "user_id")? })
}

pub(crate) async fn find(db: &mut Connection, tenant: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT sealed FROM subjects WHERE tenant = $1 AND id = $2";
    let row = sqlx::query(sql).bind(tenant).bind(id).fetch_optional(db).await?;
    row.map(|row| column(&row, "sealed")).transpose()
}

pub(crate) async fn insert(db: &mut Connection, tenant: &str, id: &str, sealed: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO subjects (tenant, id, sealed) VALUES ($1,$2,$3)";
    sqlx::query(sql).bind(tenant).bind(id).bind(sealed).execute(db).await?;
    Ok(())
}

/// Destroys the person's key, and deletes what else is kept about them that nothing needs any more: restores with their
/// approvals, codes, notices, what is known of them. Overwritten, not only unlinked: the database is opened
/// with `secure_delete`. `blank` is the person's document from now on, at version 0.
pub(crate) async fn erase(db: &mut Connection, erasure: &Erasure, blank: &[u8]) -> Result<(), StoreError> {
    let steps = [
        "DELETE FROM approvals WHERE restore IN (SELECT id FROM restores WHERE tenant = $1 AND user_id = $2)",
        "DELETE FROM restores WHERE tenant = $1 AND user_id = $2",
        "DELETE FROM enrolment_codes WHERE tenant = $1 AND user_id = $2",
        "DELETE FROM notices WHERE tenant = $1 AND user_id = $2",
        "DELETE FROM subjects WHERE tenant = $1 AND id = $2",
    ];
    for sql in steps {
        sqlx::query(sql).bind(&erasure.tenant).bind(&erasure.user).execute(&mut *db).await?;
    }
    let sql = "UPDATE users SET version = 0, sealed = $1 WHERE tenant = $2 AND id = $3";
    sqlx::query(sql).bind(blank).bind(&erasure.tenant).bind(&erasure.user).execute(&mut *db).await?;
    let insert = "INSERT INTO erasures (id, tenant, user_id) VALUES ($1,$2,$3)";
    sqlx::query(insert).bind(erasure.id.to_string()).bind(&erasure.tenant).bind(&erasure.user).execute(db).await?;
    Ok(())
}

/// Erasures that are not done.
pub(crate) async fn unfinished(db: &mut Connection) -> Result<Vec<Erasure>, StoreError> {
    sqlx::query("SELECT id, tenant, user_id FROM erasures").fetch_all(db).await?.iter().map(read).collect()
}

/// Puts the erasure's id in place of the person's among the leaves `from..to`.
pub(crate) async fn detach(db: &mut Connection, erasure: &Erasure, (from, to): (u64, u64)) -> Result<(), StoreError> {
    let sql =
        "UPDATE leaves SET subject = $1 WHERE tenant = $2 AND leaf_index >= $3 AND leaf_index < $4 AND subject = $5";
    let query = sqlx::query(sql).bind(format!("{ERASED}{}", erasure.id)).bind(&erasure.tenant);
    let query = query.bind(from.cast_signed()).bind(to.cast_signed()).bind(&erasure.user);
    query.execute(db).await?;
    Ok(())
}

/// The erasure is done: nothing is left that leads from it to the person.
pub(crate) async fn finish(db: &mut Connection, id: Uuid) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM erasures WHERE id = $1").bind(id.to_string()).execute(db).await?;
    Ok(())
}
