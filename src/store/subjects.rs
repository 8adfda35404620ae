//! Table `subjects`: the key that each person's disclosures are sealed under.

use super::{Connection, StoreError, column};

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
