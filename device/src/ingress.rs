//! A key is sealed to only when the tenant's log key, which was pinned at enrolment, vouches for it.

use audit::note::{NoteError, Verifier, open_ingress};
use protocol::messages::IngressKey;

/// Why nothing is sealed to an ingress key that the broker offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IngressRefused {
    /// No pinned log key endorses any key by this note.
    #[error(transparent)]
    Endorsement(#[from] NoteError),
    /// The endorsement is of a key with another id or other bytes.
    #[error("another key is endorsed")]
    OtherKey,
}

/// Checks that one of `verifiers` endorses exactly this id and key.
pub(crate) fn verify(ingress: &IngressKey, verifiers: &[Verifier]) -> Result<(), IngressRefused> {
    let endorsed = open_ingress(&ingress.endorsement, verifiers)?;
    let is_it = endorsed.id == ingress.id.as_str() && endorsed.key_hash == ingress.key.0.hash();
    if is_it { Ok(()) } else { Err(IngressRefused::OtherKey) }
}
