//! Of the circumstances of a request, what policies know beside the time.

use crate::broker::Broker;
use crate::caller::Source;
use crate::clock::Timestamp;
use crate::keys::{KeyError, Keys};
use crate::store::restores::Restore;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where a request comes from, and when its user had logged in. Of a restore it is kept, sealed: who looks at the restore later
/// has no request, and nobody who writes the database can say that it came from elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Circumstances {
    /// ISO 3166-1 alpha-2; `None` where nobody knows.
    pub country: Option<String>,
    /// When the user had logged in at the company's issuer, in Unix seconds; `None` where the device has not proven it.
    pub login_at: Option<i64>,
}

const RESTORES: &str = "restores";

impl Circumstances {
    /// Those of a request from there.
    pub(super) fn of(broker: &Broker, source: &Source) -> Self {
        Self { country: broker.countries.of(source.ip), login_at: None }
    }

    /// These, after that login.
    pub(super) fn after(self, login_at: Option<i64>) -> Self {
        Self { login_at, ..self }
    }

    /// Seconds since the login, at `now` (Unix milliseconds).
    pub(super) fn login_age(&self, now: Timestamp) -> Option<u32> {
        let seconds = (now / 1_000).saturating_sub(self.login_at?).max(0);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Those under which the restore was asked for.
    pub(super) fn when_asked(keys: &Keys, restore: &Restore) -> Result<Self, KeyError> {
        let document = keys.open_document((RESTORES, &restore.id.to_string()), &restore.circumstances)?;
        serde_json::from_slice(&document).map_err(|_| KeyError::Document(RESTORES))
    }

    /// Ready to be stored with this restore.
    pub(super) fn sealed(&self, keys: &Keys, restore: Uuid) -> Vec<u8> {
        let document = serde_json::to_vec(self).expect("invariant: the document has string keys and finite numbers");
        keys.seal_document((RESTORES, &restore.to_string()), &document)
    }
}
