//! Importing, guarded as all calls are, but never tried again: a provider takes the same material once.

use super::guard::Guard;
use super::metrics::Operation;
use super::{Kms, code};
use crate::error::Refusal;
use providers::{Error, ImportKey, ImportParameters, KeyRef};

/// Why a provider has not done its part of an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot, or not with this material.
    #[error("refused: {}", .0.as_str())]
    Refused(Refusal),
    /// It failed. Whether the key is there now is unknown after [`Error::Unavailable`].
    #[error("the key provider failed")]
    Provider(#[source] Error),
}

impl ImportError {
    /// The reason code, in events and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.as_str(),
            Self::Provider(error) => code(error),
        }
    }
}

impl From<Error> for ImportError {
    fn from(error: Error) -> Self {
        match error {
            // No wrapped record is at fault here, as it is everywhere else.
            Error::Mismatch => Self::Refused(Refusal::MaterialInvalid),
            error => Self::Provider(error),
        }
    }
}

impl From<ImportError> for crate::error::Error {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Refused(refusal) => refusal.into(),
            ImportError::Provider(error) => error.into(),
        }
    }
}

impl Kms {
    /// [`ImportKey::import_parameters`], guarded.
    pub async fn import_parameters(&self, provider: &str, key: &KeyRef) -> Result<ImportParameters, ImportError> {
        let (guard, room) = self.importing(provider)?;
        Ok(guard.once(Operation::ImportParameters, room.import_parameters(key)).await?)
    }

    /// [`ImportKey::import_key`], guarded.
    pub async fn import(
        &self,
        (provider, key): (&str, &KeyRef),
        (material, token): (&[u8], &[u8]),
    ) -> Result<(), ImportError> {
        let (guard, room) = self.importing(provider)?;
        Ok(guard.once(Operation::Import, room.import_key(key, material, token)).await?)
    }

    fn importing(&self, provider: &str) -> Result<(&Guard, &dyn ImportKey), ImportError> {
        let guard = self.guards.get(provider).ok_or(Error::NoSuchKey)?;
        let room = guard.room.import.as_deref().ok_or(ImportError::Refused(Refusal::ImportUnsupported))?;
        Ok((guard, room))
    }
}
