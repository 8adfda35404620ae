//! What is kept of a passkey, and of a registration under way.

use super::AttestationRoots;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use webauthn_rs_core::proto::{AttestationMetadata, Credential, RegistrationState};

/// A registration that a browser was asked for. To be kept by the server alone, and used once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    pub(super) person: Uuid,
    pub(super) state: RegistrationState,
    pub(super) roots: Option<AttestationRoots>,
}

/// A person's passkey: its public key, and what was found out when it was registered. It never changes after that but
/// for its name. Whoever may write one can sign in: keep it sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Passkey {
    /// What its owner calls it; empty until named.
    pub name: String,
    pub(super) person: Uuid,
    pub(super) credential: Credential,
    registered_counter: u32,
    attested: bool,
}

impl Passkey {
    /// The library compares counters with the credential's. It stays at 0 there, which every counter passes: a signature
    /// must verify years later as it does today.
    pub(super) fn new(person: Uuid, mut credential: Credential, attested: bool) -> Self {
        let registered_counter = std::mem::take(&mut credential.counter);
        Self { name: String::new(), person, credential, registered_counter, attested }
    }

    /// The credential ID in base64url, as browsers write it.
    #[must_use]
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.credential.cred_id)
    }

    /// Whose it is.
    #[must_use]
    pub fn person(&self) -> Uuid {
        self.person
    }

    /// Whether its authenticator was shown to be of a make under the roots that were demanded.
    #[must_use]
    pub fn is_attested(&self) -> bool {
        self.attested
    }

    /// The make of the authenticator (FIDO AAGUID), where attestation vouches for it.
    #[must_use]
    pub fn aaguid(&self) -> Option<Uuid> {
        match &self.credential.attestation.metadata {
            AttestationMetadata::Packed { aaguid } | AttestationMetadata::Tpm { aaguid, .. } => Some(*aaguid),
            AttestationMetadata::None
            | AttestationMetadata::AndroidKey { .. }
            | AttestationMetadata::AndroidSafetyNet { .. } => None,
        }
        .filter(|_| self.attested)
    }

    /// Whether copies of it may exist: it can be synchronised between a person's devices.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        self.credential.backup_eligible
    }

    /// The signature counter at its registration: the first `last` for [`shows_clone`].
    #[must_use]
    pub fn registered_counter(&self) -> u32 {
        self.registered_counter
    }
}

/// Whether `counter` shows that there are two of an authenticator: it did not go up since the `last` signature
/// (WebAuthn section 6.1.1). Authenticators without a counter always say 0.
#[must_use]
pub fn shows_clone(last: u32, counter: u32) -> bool {
    (last, counter) != (0, 0) && counter <= last
}
