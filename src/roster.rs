//! Who administers: people and tokens, as documents that only the broker can seal. Whoever writes the database can lose
//! one, but can appoint nobody.

use crate::clock::Timestamp;
use crate::digest::sha256;
use crate::error::Error;
use crate::keys::{KeyError, Keys};
use crate::store::{Connection, admins, tokens};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use identity::passkey::Passkey;
use notices::Address;
use policies::admin::{Act, Role};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// Where those administer who do so everywhere. A tenant of its own, whose log says who was appointed.
pub const INSTALLATION: &str = "installation";

/// How far a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// Has no passkey yet.
    Invited,
    /// May act.
    Active,
    /// Never again.
    Revoked,
}

impl AdminState {
    /// The word that is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

/// What lets a person make their first passkey, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invitation {
    /// SHA-256 of what the link carries.
    pub hash: [u8; 32],
    /// Unix milliseconds.
    pub expires_at: Timestamp,
}

/// A person who administers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Admin {
    /// Made by the broker; the user handle of their passkeys.
    pub id: Uuid,
    /// Where: a tenant, or [`INSTALLATION`].
    pub tenant: String,
    /// Unique there; what events call the person by.
    pub name: String,
    /// Counts changes, from 1.
    pub version: u64,
    /// Where notices go.
    pub email: Option<String>,
    /// What the person may do there.
    pub roles: Vec<Role>,
    /// Who the person is to the tenant's issuer, if they may sign on there.
    #[serde(default)]
    pub subject: Option<String>,
    /// The person's own account among the tenant's users: they never approve for it.
    pub user: Option<String>,
    /// How far the person is.
    pub state: AdminState,
    /// Until the first passkey is made.
    pub invitation: Option<Invitation>,
    /// What the person signs with.
    pub passkeys: Vec<Passkey>,
    /// Unix milliseconds.
    pub created_at: Timestamp,
}

impl Admin {
    /// What events call the person: `admin:NAME`, or `admin:installation/NAME` for who administers all tenants. Nobody else
    /// is called so in the same log.
    #[must_use]
    pub fn actor(&self) -> String {
        match &*self.tenant {
            INSTALLATION => format!("admin:{INSTALLATION}/{}", self.name),
            _ => format!("admin:{}", self.name),
        }
    }

    /// Where the person is told by mail; nothing where that is no address.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.email.as_deref()?.parse().ok()
    }

    /// Whether what the person may do reaches that tenant.
    #[must_use]
    pub fn reaches(&self, tenant: Option<&str>) -> bool {
        reaches(&self.tenant, tenant)
    }

    /// The next version of the document.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }

    /// Ready to be stored.
    #[must_use]
    pub fn sealed(&self, keys: &Keys) -> admins::Row {
        admins::Row {
            id: self.id,
            tenant: self.tenant.clone(),
            name: self.name.clone(),
            version: self.version,
            invitation: self.invitation.as_ref().map(|invitation| invitation.hash),
            sealed: keys.seal_document((ADMINS, &place(self.id, self.version)), &to_json(self)),
        }
    }
}

/// The link for the first person who administers, as the SHA-256 of what it carries. Good once.
#[derive(Debug, Default)]
pub struct Bootstrap(Mutex<Option<[u8; 32]>>);

impl Bootstrap {
    /// The one before is none any more.
    pub fn set(&self, hash: [u8; 32]) {
        *self.lock() = Some(hash);
    }

    /// Whether that is it.
    #[must_use]
    pub fn is(&self, hash: &[u8; 32]) -> bool {
        self.lock().is_some_and(|own| verify_slices_are_equal(&own, hash).is_ok())
    }

    /// Nobody takes it twice.
    #[must_use]
    pub fn take(&self, hash: &[u8; 32]) -> bool {
        self.lock().take_if(|own| own == hash).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<[u8; 32]>> {
        self.0.lock().expect("invariant: nothing panics while holding this lock")
    }
}

/// An API token, without the token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// What people call it by.
    pub id: Uuid,
    /// Where it counts: a tenant, or [`INSTALLATION`].
    pub tenant: String,
    /// For people.
    pub name: String,
    /// What it may do.
    pub acts: Vec<Act>,
    /// Who made it, as events call them; counts as the same person.
    pub made_by: String,
    /// Unix milliseconds.
    pub created_at: Timestamp,
    /// Unix milliseconds; from then on it is none.
    pub expires_at: Timestamp,
}

impl Token {
    /// Whether what it may do reaches that tenant.
    #[must_use]
    pub fn reaches(&self, tenant: Option<&str>) -> bool {
        reaches(&self.tenant, tenant)
    }

    /// Ready to be stored under the hash of what is sent.
    #[must_use]
    pub fn sealed(&self, keys: &Keys, hash: [u8; 32]) -> tokens::Row {
        let sealed = keys.seal_document((TOKENS, &hex::encode(hash)), &to_json(self));
        tokens::Row { hash, id: self.id, tenant: self.tenant.clone(), sealed }
    }
}

const ADMINS: &str = "admins";
const TOKENS: &str = "tokens";

/// The document's place: an older version does not pass for a newer one.
fn place(id: Uuid, version: u64) -> String {
    format!("{id}@{version}")
}

fn reaches(own: &str, tenant: Option<&str>) -> bool {
    own == INSTALLATION || tenant == Some(own)
}

fn to_json<T: Serialize>(document: &T) -> Vec<u8> {
    serde_json::to_vec(document).expect("invariant: these documents have string keys and finite numbers")
}

/// The person of this id.
pub async fn admin(keys: &Keys, db: &mut Connection, id: Uuid) -> Result<Option<Admin>, Error> {
    admins::find(db, id).await?.map(|row| open_admin(keys, &row)).transpose()
}

/// Who was invited with this text.
pub async fn invited(keys: &Keys, db: &mut Connection, invitation: &str) -> Result<Option<Admin>, Error> {
    let row = admins::invited(db, &sha256(invitation.as_bytes())).await?;
    row.map(|row| open_admin(keys, &row)).transpose()
}

/// Everybody who administers there, by name.
pub async fn admins_of(keys: &Keys, db: &mut Connection, tenant: &str) -> Result<Vec<Admin>, Error> {
    admins::of_tenant(db, tenant).await?.iter().map(|row| open_admin(keys, row)).collect()
}

/// The token that was sent, expired or not.
pub async fn token(keys: &Keys, db: &mut Connection, sent: &str) -> Result<Option<Token>, Error> {
    tokens::find(db, &sha256(sent.as_bytes())).await?.map(|row| open_token(keys, &row)).transpose()
}

/// The tokens that count there.
pub async fn tokens_of(keys: &Keys, db: &mut Connection, tenant: &str) -> Result<Vec<Token>, Error> {
    tokens::of_tenant(db, tenant).await?.iter().map(|row| open_token(keys, row)).collect()
}

fn open_admin(keys: &Keys, row: &admins::Row) -> Result<Admin, Error> {
    let admin: Admin = open(keys, (ADMINS, &place(row.id, row.version)), &row.sealed)?;
    let same = (admin.id, admin.version) == (row.id, row.version) && admin.tenant == row.tenant;
    if same { Ok(admin) } else { Err(KeyError::Document(ADMINS).into()) }
}

fn open_token(keys: &Keys, row: &tokens::Row) -> Result<Token, Error> {
    let token: Token = open(keys, (TOKENS, &hex::encode(row.hash)), &row.sealed)?;
    if token.tenant == row.tenant { Ok(token) } else { Err(KeyError::Document(TOKENS).into()) }
}

fn open<T: DeserializeOwned>(keys: &Keys, place: (&'static str, &str), sealed: &[u8]) -> Result<T, KeyError> {
    serde_json::from_slice(&keys.open_document(place, sealed)?).map_err(|_| KeyError::Document(place.0))
}
