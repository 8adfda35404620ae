//! A tenant's users, each with a document that only the broker can seal. Whoever writes the database cannot have anybody told
//! elsewhere, nor take them out of a reporting line.

use crate::clock::Timestamp;
use crate::error::Error;
use crate::keys::{KeyError, Keys};
use crate::store::users::{self, Row};
use crate::store::{Connection, Standing, StoreError};
use crate::time_zone::TimeZone;
use notices::Address;
use protocol::names::{Text, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So many levels of a reporting line count.
const LEVELS: usize = 16;

/// A person of a tenant; records and devices belong to one.
#[derive(Debug, Clone)]
pub struct User {
    /// Whose employee.
    pub tenant: String,
    /// As the tenant names the person.
    pub id: String,
    /// Whether any of the person's devices may act.
    pub state: Standing,
    /// Counts changes of the particulars, from 1; 0 once the person is erased.
    pub version: u64,
    /// What is known of the person.
    pub particulars: Particulars,
    /// Unix milliseconds.
    pub created_at: Timestamp,
}

/// What is known of a user, beside whether they may act. The document that is sealed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Particulars {
    /// Where the person is told of what happens to their keys.
    pub email: Option<Address>,
    /// The users directly above in the reporting line.
    pub managers: Vec<UserId>,
    /// Where the person's clocks are; `None` is UTC.
    pub time_zone: Option<TimeZone>,
    /// Who the person is to the issuer where the tenant's users log in (OpenID Connect Core 1.0, section 2); where nobody has
    /// said so, no login counts as theirs.
    pub subject: Option<Text<255>>,
}

impl User {
    /// The same person, of whom this is known from now on.
    #[must_use]
    pub fn with(&self, particulars: Particulars) -> Self {
        Self { version: self.version + 1, particulars, ..self.clone() }
    }

    /// Ready to be stored.
    #[must_use]
    pub fn sealed(&self, keys: &Keys) -> Row {
        Row {
            tenant: self.tenant.clone(),
            id: self.id.clone(),
            state: self.state,
            version: self.version,
            sealed: seal(keys, (&self.tenant, &self.id, self.version), &self.particulars),
            created_at: self.created_at,
        }
    }

    fn open(keys: &Keys, row: Row) -> Result<Self, KeyError> {
        let document = keys.open_document((USERS, &place((&row.tenant, &row.id, row.version))), &row.sealed)?;
        let particulars = serde_json::from_slice(&document).map_err(|_| KeyError::Document(USERS))?;
        let Row { tenant, id, state, version, created_at, sealed: _ } = row;
        Ok(Self { tenant, id, state, version, particulars, created_at })
    }
}

const USERS: &str = "users";

/// The document's place: neither another person's nor an older version passes for it.
fn place((tenant, id, version): (&str, &str, u64)) -> String {
    format!("{tenant}/{id}@{version}")
}

fn seal(keys: &Keys, at: (&str, &str, u64), particulars: &Particulars) -> Vec<u8> {
    let document = serde_json::to_vec(particulars).expect("invariant: the document has string keys and finite numbers");
    keys.seal_document((USERS, &place(at)), &document)
}

/// The document of version 0, which says nothing, for a person who is erased.
#[must_use]
pub fn blank(keys: &Keys, tenant: &str, id: &str) -> Vec<u8> {
    seal(keys, (tenant, id, 0), &Particulars::default())
}

/// The tenant's user of this id.
pub async fn user(keys: &Keys, db: &mut Connection, tenant: &str, id: &str) -> Result<Option<User>, Error> {
    let row = users::find(db, tenant, id).await?;
    Ok(row.map(|row| User::open(keys, row)).transpose()?)
}

/// The tenant's users after this id, by id.
pub async fn page(
    keys: &Keys,
    db: &mut Connection,
    tenant: &str,
    (after, limit): (&str, i64),
) -> Result<Vec<User>, Error> {
    let rows = users::page(db, tenant, after, limit).await?;
    Ok(rows.into_iter().map(|row| User::open(keys, row)).collect::<Result<_, _>>()?)
}

/// Everybody above the user in the reporting line, by one query for each level. Who stands in it twice, or above themselves,
/// counts once.
///
/// # Errors
/// Where somebody in it is no user: none is ever deleted.
pub async fn above(keys: &Keys, db: &mut Connection, user: &User) -> Result<Vec<String>, Error> {
    let mut above = BTreeSet::new();
    let mut level = user.particulars.managers.clone();
    for _ in 0..LEVELS {
        level.retain(|manager| manager.as_str() != user.id && above.insert(manager.to_string()));
        if level.is_empty() {
            break;
        }
        let managers = these(keys, db, &user.tenant, &level).await?;
        level = managers.into_iter().flat_map(|manager| manager.particulars.managers).collect();
    }
    Ok(above.into_iter().collect())
}

/// Whether each of these is one user of the tenant, and none is named twice.
pub async fn are_users(db: &mut Connection, tenant: &str, ids: &[UserId]) -> Result<bool, StoreError> {
    Ok(ids.is_empty() || users::find_all(db, tenant, ids).await?.len() == ids.len())
}

async fn these(keys: &Keys, db: &mut Connection, tenant: &str, ids: &[UserId]) -> Result<Vec<User>, Error> {
    let rows = users::find_all(db, tenant, ids).await?;
    if rows.len() != ids.len() {
        return Err(StoreError::Corrupt { column: "managers" }.into());
    }
    Ok(rows.into_iter().map(|row| User::open(keys, row)).collect::<Result<_, _>>()?)
}
