//! A version of a tenant's policies, as a document that only the broker can seal: whoever writes the database cannot write a
//! policy, nor say that somebody agreed to one.

use crate::clock::Timestamp;
use crate::keys::{KeyError, Keys};
use crate::store::policy_versions::{PolicyState, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const TABLE: &str = "policy_versions";

/// A version of a tenant's policies. Its text never changes; what becomes of it is counted in revisions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// The `cor` of all events about it.
    pub id: Uuid,
    /// Whose.
    pub tenant: String,
    /// Counted from 1.
    pub version: u64,
    /// Counted from 1.
    pub revision: u64,
    /// How far it is.
    pub state: PolicyState,
    /// The tenant's own text, in Cedar.
    pub text: String,
    /// SHA-256 of schema and full text, as when it was written: what its events say.
    pub digest: [u8; 32],
    /// What its author says of it.
    pub note: String,
    /// Who wrote it, as events call them; a token counts as its maker.
    pub made_by: String,
    /// Who wants it in force.
    pub proposed_by: Option<String>,
    /// Who else agreed.
    pub activated_by: Option<String>,
    /// The version that it was compared with and takes the place of; `None`: the defaults.
    pub replaces: Option<u64>,
    /// The version in force that it undoes, where it is a roll back.
    pub undoes: Option<u64>,
    /// Unix milliseconds: since when it is in force, or from when it will be.
    pub effective_at: Option<Timestamp>,
    /// Unix milliseconds.
    pub created_at: Timestamp,
}

impl PolicyVersion {
    /// The next revision of the document, in another state.
    #[must_use]
    pub fn next(&self, state: PolicyState) -> Self {
        Self { revision: self.revision + 1, state, ..self.clone() }
    }

    /// Ready to be stored.
    #[must_use]
    pub(crate) fn sealed(&self, keys: &Keys) -> Row {
        let (version, revision) = (self.version, self.revision);
        let document = serde_json::to_vec(self).expect("invariant: the document has string keys and finite numbers");
        let sealed = keys.seal_document((TABLE, &place(&self.tenant, version, revision)), &document);
        Row { tenant: self.tenant.clone(), version, revision, state: self.state, sealed }
    }

    /// Opens a row, if it is where the broker has put it.
    pub(crate) fn open(keys: &Keys, row: &Row) -> Result<Self, KeyError> {
        let place = place(&row.tenant, row.version, row.revision);
        let document = keys.open_document((TABLE, &place), &row.sealed)?;
        serde_json::from_slice(&document).map_err(|_| KeyError::Document(TABLE))
    }
}

/// The document's place: an older revision does not pass for a newer one.
fn place(tenant: &str, version: u64, revision: u64) -> String {
    format!("{tenant}/{version}@{revision}")
}
