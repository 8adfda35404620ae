//! Which devices are whose, and who may enrol one: documents that only the broker can seal. Whoever writes the database can
//! lose a device, but can neither make one nor change whose it is.

use crate::clock::Timestamp;
use crate::keys::{KeyError, Keys};
use crate::store::devices::{self, Membership, Row};
use crate::store::enrolment_codes;
use crate::store::{Connection, Standing, StoreError};
use crate::testimony::{Bounds, Testimony};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

const DEVICES: &str = "devices";
const CODES: &str = "enrolment_codes";

/// A device that has proven whose it is, and the key that it signs with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    /// Made by the broker; the `kid` of its requests.
    pub id: Uuid,
    /// Whose.
    pub tenant: String,
    /// Whose within the tenant.
    pub user: String,
    /// For people, as the device named itself.
    pub name: String,
    /// For people and policy, as the device named it.
    pub platform: String,
    /// Its public key as canonical JWK text (RFC 7638).
    pub jwk: String,
    /// SHA-256 of `jwk` (RFC 7638); a key enrols once per tenant.
    pub thumbprint: [u8; 32],
    /// Whether it may act. The document has what it was enrolled as; a column can only take from that.
    pub state: Standing,
    /// Whether its key is proven to live in hardware.
    pub attested: bool,
    /// Whether the help desk made the code with which it was enrolled.
    pub by_help_desk: bool,
    /// Unix milliseconds.
    pub enrolled_at: Timestamp,
}

/// What an administrator made for one user: whoever brings the code enrols a device, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Code {
    /// For which tenant.
    pub tenant: String,
    /// For which user.
    pub user: String,
    /// Whether the help desk made it.
    pub by_help_desk: bool,
    /// Unix milliseconds.
    pub expires_at: Timestamp,
}

/// Seals and opens what it holds.
#[derive(Debug)]
pub struct Inventory {
    keys: Arc<Keys>,
    testimony: Arc<Testimony>,
}

impl Inventory {
    /// Opens what was sealed with these keys, and gives nobody more than the logs leave them.
    #[must_use]
    pub fn new(keys: Arc<Keys>, testimony: Arc<Testimony>) -> Self {
        Self { keys, testimony }
    }

    /// A device, ready to be stored.
    #[must_use]
    pub fn seal(&self, device: &Device) -> Row {
        Row {
            id: device.id,
            tenant: device.tenant.clone(),
            user: device.user.clone(),
            thumbprint: device.thumbprint,
            state: device.state,
            sealed: self.keys.seal_document((DEVICES, &device.id.to_string()), &to_json(device)),
        }
    }

    /// These devices, each with what it belongs to. A row that the broker did not write is no device.
    pub async fn find_all(&self, db: &mut Connection, ids: &[Uuid]) -> Result<Vec<(Device, Membership)>, StoreError> {
        let rows = devices::find_all(db, ids).await?.into_iter();
        Ok(rows.filter_map(|(row, membership)| Some(self.bounded(self.open(&row)?, membership))).collect())
    }

    /// The device of this id.
    pub async fn find(&self, db: &mut Connection, id: Uuid) -> Result<Option<(Device, Membership)>, StoreError> {
        Ok(self.find_all(db, &[id]).await?.pop())
    }

    /// At most `limit` of the tenant's devices after `after`, by id; only those of `user` where there is one.
    pub async fn page(
        &self,
        db: &mut Connection,
        (tenant, user): (&str, Option<&str>),
        (after, limit): (&str, usize),
    ) -> Result<Vec<Device>, StoreError> {
        let (mut found, mut after) = (Vec::new(), after.to_owned());
        while found.len() < limit {
            let rows = devices::page(db, (tenant, user), (&after, limit)).await?;
            let Some(last) = rows.last() else { break };
            after = last.id.to_string();
            found.extend(rows.iter().filter_map(|row| self.open(row)));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The same devices, without the names that their user gave them: for a person who was erased.
    pub async fn nameless(&self, db: &mut Connection, tenant: &str, user: &str) -> Result<Vec<Row>, StoreError> {
        let devices = self.page(db, (tenant, Some(user)), ("", usize::MAX)).await?;
        Ok(devices.into_iter().map(|device| self.seal(&Device { name: "erased".into(), ..device })).collect())
    }

    /// A code, ready to be stored under its hash.
    #[must_use]
    pub fn seal_code(&self, hash: [u8; 32], code: &Code) -> enrolment_codes::Row {
        enrolment_codes::Row {
            hash,
            tenant: code.tenant.clone(),
            user: code.user.clone(),
            expires_at: code.expires_at,
            sealed: self.keys.seal_document((CODES, &hex::encode(hash)), &to_json(code)),
        }
    }

    /// The code of this hash, if it is of this tenant, unused, and not expired at `now`.
    pub async fn code(
        &self,
        db: &mut Connection,
        (tenant, hash): (&str, &[u8; 32]),
        now: Timestamp,
    ) -> Result<Option<Code>, StoreError> {
        let Some(row) = enrolment_codes::usable(db, tenant, hash, now).await? else { return Ok(None) };
        let place = hex::encode(hash);
        let code = self.read((CODES, &place), &row.sealed, |code: &Code| {
            (&*code.tenant, &*code.user) == (&*row.tenant, &*row.user)
        });
        Ok(code.filter(|code| now < code.expires_at))
    }

    /// What the log says is revoked stays so, whatever a column says.
    fn bounded(&self, device: Device, membership: Membership) -> (Device, Membership) {
        let bounds = self.testimony.bounds((&device.tenant, &device.user), device.id);
        let stated = Bounds { tenant: membership.tenant, user: membership.user, device: device.state };
        let held = stated.min(bounds);
        if held != stated {
            let (tenant, device) = (&device.tenant, device.id);
            tracing::error!(tenant, %device, "the log tells of a revocation that the database has not; it stands");
        }
        (Device { state: held.device, ..device }, Membership { tenant: held.tenant, user: held.user, ..membership })
    }

    fn open(&self, row: &Row) -> Option<Device> {
        let place = row.id.to_string();
        let device = self.read((DEVICES, &place), &row.sealed, |device: &Device| {
            (device.id, &*device.tenant, &*device.user, device.thumbprint)
                == (row.id, &*row.tenant, &*row.user, row.thumbprint)
        })?;
        Some(Device { state: device.state.max(row.state), ..device })
    }

    /// What was sealed for this place, if its row is as it was then.
    fn read<T: DeserializeOwned>(
        &self,
        place: (&'static str, &str),
        sealed: &[u8],
        same: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let opened = self.keys.open_document(place, sealed).and_then(|document| {
            let read = serde_json::from_slice(&document).ok().filter(same);
            read.ok_or(KeyError::Document(place.0))
        });
        let altered = |error: &KeyError| {
            let (error, id) = (error as &dyn std::error::Error, place.1);
            tracing::error!(error, id, "a row that this broker did not write counts for nothing");
        };
        opened.inspect_err(altered).ok()
    }
}

fn to_json<T: Serialize>(document: &T) -> Vec<u8> {
    serde_json::to_vec(document).expect("invariant: these documents have string keys and finite numbers")
}
