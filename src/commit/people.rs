//! Users, people who administer, and their tokens: documents that come sealed.

use super::PasskeyCount;
use super::gate::Applied;
use super::rare::Passed;
use crate::error::Refusal;
use crate::store::passkey_counters::{self, COPIED};
use crate::store::{Connection, Standing, StoreError, admins, tokens, users};
use identity::passkey::shows_clone;
use uuid::Uuid;

/// Compare and swap: of two that change what is known of a user at once, one does.
pub(super) async fn store_user(db: &mut Connection, row: &users::Row) -> Result<Passed, StoreError> {
    if users::find(db, &row.tenant, &row.id).await?.map(|user| user.state) != Some(Standing::Active) {
        return Ok(Err(Refusal::UserInactive));
    }
    let replaced = users::replace(db, row).await?;
    Ok(if replaced { Ok(Applied::Done) } else { Err(Refusal::UserChanged) })
}

/// Compare and swap: of two that change a person at once, one does.
pub(super) async fn store_admin(db: &mut Connection, row: &admins::Row) -> Result<Passed, StoreError> {
    if row.version > 1 {
        let replaced = admins::replace(db, row).await?;
        return Ok(if replaced { Ok(Applied::Done) } else { Err(Refusal::AdminChanged) });
    }
    if admins::is_name_taken(db, &row.tenant, &row.name).await? {
        return Ok(Err(Refusal::Taken));
    }
    admins::insert(db, row).await?;
    Ok(Ok(Applied::Done))
}

pub(super) async fn store_token(db: &mut Connection, row: &tokens::Row) -> Result<Passed, StoreError> {
    tokens::insert(db, row).await?;
    Ok(Ok(Applied::Done))
}

pub(super) async fn revoke_token(db: &mut Connection, tenant: &str, id: Uuid) -> Result<Passed, StoreError> {
    let deleted = tokens::delete(db, tenant, id).await?;
    Ok(if deleted { Ok(Applied::Done) } else { Err(Refusal::Unknown) })
}

/// Counts a signature, unless the passkey counts back: then it exists twice, and nothing that either of the two signs is
/// believed any more.
pub(super) async fn count_passkey(db: &mut Connection, count: &PasskeyCount) -> Result<bool, StoreError> {
    let last = passkey_counters::find(db, &count.credential).await?.unwrap_or(count.registered);
    let is_copied = shows_clone(last, count.counter);
    passkey_counters::set(db, &count.credential, if is_copied { COPIED } else { count.counter }).await?;
    Ok(!is_copied)
}
