//! Which makes of authenticators are trusted, by the certificates of those who vouch for them.

use super::PasskeyError;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};
use webauthn_rs_core::attestation::verify_attestation_ca_chain;
use webauthn_rs_core::proto::{AttestationCaList, Credential};

const CERTIFICATE_END: &str = "-----END CERTIFICATE-----";

/// The certificates under which an authenticator's attestation must be: at least one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttestationRoots(AttestationCaList);

impl AttestationRoots {
    /// Reads certificates in PEM, one after the other; text between them is a comment.
    pub fn from_pem(pem: &str) -> Result<Self, PasskeyError> {
        let mut roots = AttestationCaList::default();
        for part in pem.split_inclusive(CERTIFICATE_END).filter(|part| part.contains(CERTIFICATE_END)) {
            let certificate = part.find("-----BEGIN").map_or(part, |start| &part[start..]);
            let root = AttestationCaList::try_from(certificate.as_bytes()).map_err(|_| PasskeyError::Roots)?;
            roots.union(&root);
        }
        if roots.is_empty() { Err(PasskeyError::Roots) } else { Ok(Self(roots)) }
    }
}

/// Refuses a credential whose attestation is missing, or does not lead to one of the roots at `now`.
pub(super) fn verify_attested(credential: &Credential, roots: &AttestationRoots, now: i64) -> Result<(), PasskeyError> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or_default());
    match verify_attestation_ca_chain(&credential.attestation.data, &roots.0, now) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(PasskeyError::NotAttested),
        Err(error) => Err(PasskeyError::Untrusted(error)),
    }
}
