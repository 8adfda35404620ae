//! Table `approvals`: who approved a restore or rejected it, with the signature as it was made.

use super::{Connection, StoreError, column, list, parsed, placeholders};
use protocol::approval::Decision;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// Who decides on a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Approver {
    /// A person who administers, by passkey.
    Admin(Uuid),
    /// Another device of the user whose restore it is.
    Device(Uuid),
}

impl Approver {
    /// Its id.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Admin(id) | Self::Device(id) => id,
        }
    }
}

/// A decision on a restore. Each approver has one; a rejection takes the place of an approval.
#[derive(Debug, Clone)]
pub struct Approval {
    /// On what.
    pub restore: Uuid,
    /// By whom.
    pub approver: Approver,
    /// What.
    pub decision: Decision,
    /// A person's WebAuthn assertion, or a device's JWS, over the restore's transcript.
    pub signature: Vec<u8>,
    /// Unix milliseconds.
    pub given_at: i64,
}

const COLUMNS: &str = "restore, approver, by_device, decision, signature, given_at";

fn read(row: &AnyRow) -> Result<Approval, StoreError> {
    let id = parsed(row, "approver")?;
    let by_device = column::<i64>(row, "by_device")? != 0;
    let decision: String = column(row, "decision")?;
    Ok(Approval {
        restore: parsed(row, "restore")?,
        approver: if by_device { Approver::Device(id) } else { Approver::Admin(id) },
        decision: decision.parse().map_err(|_| StoreError::Corrupt { column: "decision" })?,
        signature: column(row, "signature")?,
        given_at: column(row, "given_at")?,
    })
}

/// In the order in which they were given.
pub(crate) async fn of_restore(db: &mut Connection, restore: Uuid) -> Result<Vec<Approval>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE restore = $1 ORDER BY given_at, approver");
    sqlx::query(AssertSqlSafe(sql)).bind(restore.to_string()).fetch_all(db).await?.iter().map(read).collect()
}

/// Who has approved each of these, as pairs of restore and approver.
pub(crate) async fn approvers_of(db: &mut Connection, restores: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let sql = format!(
        "SELECT restore, approver FROM approvals WHERE decision = 'approve' AND restore IN {}",
        list(restores.len())
    );
    let query = restores.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()));
    query.fetch_all(db).await?.iter().map(|row| Ok((parsed(row, "restore")?, parsed(row, "approver")?))).collect()
}

pub(crate) async fn store_all(db: &mut Connection, approvals: &[Approval]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO approvals ({COLUMNS}) VALUES {} ON CONFLICT (restore, approver) DO UPDATE SET
           decision = excluded.decision, signature = excluded.signature, given_at = excluded.given_at",
        placeholders(approvals.len(), 6)
    );
    let query = approvals.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, approval| {
        query
            .bind(approval.restore.to_string())
            .bind(approval.approver.id().to_string())
            .bind(i64::from(matches!(approval.approver, Approver::Device(_))))
            .bind(approval.decision.as_str())
            .bind(&approval.signature[..])
            .bind(approval.given_at)
    });
    query.execute(db).await?;
    Ok(())
}
