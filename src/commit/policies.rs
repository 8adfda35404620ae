//! Versions of a tenant's policies: documents that come sealed, and which of them is in force.

use super::gate::Applied;
use super::rare::Passed;
use crate::error::Refusal;
use crate::store::policy_versions::{self, Row};
use crate::store::{Connection, StoreError, tenants};

/// What becomes of a version of a tenant's policies.
#[derive(Debug)]
pub struct PolicyStep {
    /// Its document: new at revision 1, else after the revision before.
    pub(crate) version: Row,
    /// Whether it is in force from now on.
    pub(crate) takes_effect: Option<Succession>,
}

/// Whose place a version takes.
#[derive(Debug)]
pub struct Succession {
    /// The version in force until now; `None`: the defaults.
    pub(crate) replaces: Option<u64>,
    /// That version's document, from now on.
    pub(crate) retired: Option<Row>,
}

/// Compare and swap: of two that change a version, or what is in force, at once, one does.
pub(super) async fn step(db: &mut Connection, tenant: &str, step: &PolicyStep) -> Result<Passed, StoreError> {
    let retired = step.takes_effect.as_ref().and_then(|succession| succession.retired.as_ref());
    for row in std::iter::once(&step.version).chain(retired) {
        if !follows(db, row).await? {
            return Ok(Err(Refusal::PolicyVersionChanged));
        }
    }
    if let Some(succession) = &step.takes_effect {
        let in_force = tenants::find(db, tenant).await?.and_then(|tenant| tenant.policy);
        if in_force != succession.replaces {
            return Ok(Err(Refusal::PolicyVersionChanged));
        }
        tenants::set_policy(db, tenant, step.version.version).await?;
    }
    for row in std::iter::once(&step.version).chain(retired) {
        policy_versions::put(db, row).await?;
    }
    Ok(Ok(Applied::Done))
}

/// Whether the document comes right after what is stored.
async fn follows(db: &mut Connection, row: &Row) -> Result<bool, StoreError> {
    if row.revision == 1 {
        return Ok(policy_versions::newest(db, &row.tenant).await? + 1 == row.version);
    }
    let stored = policy_versions::find(db, &row.tenant, row.version).await?;
    Ok(stored.is_some_and(|stored| stored.revision + 1 == row.revision))
}
