//! BYOK: an administrator brings a key that was made elsewhere to its provider. It is no KEK until it is registered.

use super::admin::{proposal, require_tenant};
use super::keks::free_for;
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::commit::Rare;
use crate::error::{Error, Refusal};
use crate::kms::ImportError;
use crate::store::Standing;
use audit::event::{Event, Kind, Outcome};
use providers::{ImportParameters, KeyRef};

/// An administrator's wish to import a key.
pub struct Import<'a> {
    /// The broker.
    pub broker: &'a Broker,
    /// Who asks.
    pub admin: &'a AdminCaller,
    /// Whose key.
    pub tenant: &'a str,
    /// A provider of the configuration file.
    pub provider: &'a str,
    /// What that provider calls the key.
    pub key: KeyRef,
}

impl Import<'_> {
    /// What a ceremony needs to wrap the key.
    pub async fn parameters(&self) -> Result<ImportParameters, Error> {
        self.admit().await?;
        match self.broker.kms.import_parameters(self.provider, &self.key).await {
            Ok(parameters) => Ok(parameters),
            Err(error) => Err(self.deny(error).await),
        }
    }

    /// Hands the material to the provider. Not repeatable: most providers refuse the same material a second time. What it
    /// does cannot be undone, so the log knows of it before.
    pub async fn import(&self, material: &[u8], token: &[u8]) -> Result<(), Error> {
        self.admit().await?;
        self.record(Kind::KekImportRequested, Outcome::OK).await?;
        match self.broker.kms.import((self.provider, &self.key), (material, token)).await {
            Ok(()) => self.record(Kind::KekImported, Outcome::OK).await,
            Err(error) => Err(self.deny(error).await),
        }
    }

    /// Before the provider is asked. Another tenant's KEK is no key to be imported into.
    async fn admit(&self) -> Result<(), Error> {
        if !self.broker.kms.has(self.provider) {
            return Err(Error::Malformed("no provider of this name is configured"));
        }
        let key = (self.provider, self.key.as_str());
        let refusal = if require_tenant(self.broker, self.tenant).await?.state == Standing::Active {
            free_for(self.broker, self.tenant, key).await?.err()
        } else {
            Some(Refusal::TenantInactive)
        };
        match refusal {
            None => Ok(()),
            Some(refusal) => Err(self.deny(ImportError::Refused(refusal)).await),
        }
    }

    /// Writes that it was not done, and gives back why.
    async fn deny(&self, error: ImportError) -> Error {
        match self.record(Kind::AdminDenied, Outcome::from_static(error.code())).await {
            Ok(()) => error.into(),
            Err(error) => error,
        }
    }

    async fn record(&self, kind: Kind, outcome: Outcome) -> Result<(), Error> {
        let event = Event::new(kind, outcome).provider(self.provider).provider_ref(self.key.as_str());
        let proposal = proposal(self.tenant, self.admin, Rare::Note, event);
        self.broker.committer.commit_rare(proposal).await.map(drop)
    }
}
