//! Table `budgets`: what users, and all users of a tenant together, have taken of their quotas.

use super::locks::Holder;
use super::{Connection, StoreError, column, placeholders};
use crate::quota::Budget;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// What was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budgets {
    /// By restores that were asked for.
    pub asked: Budget,
    /// By failures.
    pub failed: Budget,
}

fn read(row: &AnyRow) -> Result<(Holder, Budgets), StoreError> {
    let holder = Holder { tenant: column(row, "tenant")?, user: column(row, "user_id")? };
    let budgets = Budgets { asked: Budget(column(row, "asked_until")?), failed: Budget(column(row, "failed_until")?) };
    Ok((holder, budgets))
}

/// Of those who have taken anything.
pub(crate) async fn find_all(db: &mut Connection, holders: &[&Holder]) -> Result<Vec<(Holder, Budgets)>, StoreError> {
    let sql = format!(
        "SELECT tenant, user_id, asked_until, failed_until FROM budgets WHERE (tenant, user_id) IN (VALUES {})",
        placeholders(holders.len(), 2)
    );
    let query = holders
        .iter()
        .fold(sqlx::query(AssertSqlSafe(sql)), |query, Holder { tenant, user }| query.bind(tenant).bind(user));
    query.fetch_all(db).await?.iter().map(read).collect()
}

/// At least one, and none twice.
pub(crate) async fn store_all(db: &mut Connection, budgets: &[(&Holder, Budgets)]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO budgets (tenant, user_id, asked_until, failed_until) VALUES {}
         ON CONFLICT (tenant, user_id) DO UPDATE SET asked_until = excluded.asked_until, failed_until = excluded.failed_until",
        placeholders(budgets.len(), 4)
    );
    let query = budgets.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, (Holder { tenant, user }, budgets)| {
        query.bind(tenant).bind(user).bind(budgets.asked.0).bind(budgets.failed.0)
    });
    query.execute(db).await?;
    Ok(())
}

/// Gives back what was taken.
pub(crate) async fn refill(db: &mut Connection, Holder { tenant, user }: &Holder) -> Result<(), StoreError> {
    let sql = "DELETE FROM budgets WHERE tenant = $1 AND user_id = $2";
    sqlx::query(sql).bind(tenant).bind(user).execute(db).await?;
    Ok(())
}

/// Forgets what is whole again since before this time.
pub(crate) async fn forget_whole(db: &mut Connection, before: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM budgets WHERE asked_until < $1 AND failed_until < $1";
    sqlx::query(sql).bind(before).execute(db).await?;
    Ok(())
}
