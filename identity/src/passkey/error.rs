//! Why a passkey is refused.

use super::MAX_ANSWER;
use webauthn_rs_core::error::WebauthnError;

/// Why a registration or an assertion is refused; the first two: why there can be none.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Set another public URL.
    #[error("passkeys need an https URL with a domain name, or http on localhost")]
    PublicUrl,
    /// Give other attestation roots.
    #[error("not one or more certificates in PEM")]
    Roots,
    /// Nothing in it was looked at.
    #[error("the answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    /// The outer form is wrong already.
    #[error("not a credential as browsers give it")]
    Malformed(#[source] serde_json::Error),
    /// No passkey of those that were given has this id.
    #[error("no such passkey")]
    UnknownPasskey,
    /// The user handle is missing where it is needed, or names another person.
    #[error("the passkey belongs to somebody else")]
    Person,
    /// A registration was taken for a signature, or the other way round.
    #[error("the answer is to another kind of request")]
    Ceremony,
    /// What was signed is not what was asked.
    #[error("the answer is to another challenge")]
    Challenge,
    /// The browser was on another site.
    #[error("the answer was made on another site")]
    Origin,
    /// The page was inside a frame of another site.
    #[error("the answer was made inside a page of another site")]
    Framed,
    /// The authenticator took part in another service's request.
    #[error("the answer was made for another relying party")]
    RelyingParty,
    /// The authenticator did not verify who used it, or that somebody did.
    #[error("the authenticator did not verify its user")]
    NotVerified,
    /// The passkey says that copies of it may exist, and must not or did not.
    #[error("the passkey may exist in copies")]
    Synchronised,
    /// The signature is not that passkey's over that answer.
    #[error("the signature is wrong")]
    Signature,
    /// Attestation is demanded and there is none.
    #[error("the authenticator does not attest what it is")]
    NotAttested,
    /// Attestation is demanded and comes from somewhere else.
    #[error("the authenticator's attestation is not under a trusted root")]
    Untrusted(#[source] WebauthnError),
    /// All else that the standard refuses: malformed contents, an unknown algorithm, a passkey that is there already.
    #[error("the answer is not acceptable")]
    Refused(#[source] WebauthnError),
}

impl From<WebauthnError> for PasskeyError {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::InvalidClientDataType => Self::Ceremony,
            WebauthnError::MismatchedChallenge => Self::Challenge,
            WebauthnError::InvalidRPOrigin => Self::Origin,
            WebauthnError::CredentialCrossOrigin => Self::Framed,
            WebauthnError::InvalidRPIDHash => Self::RelyingParty,
            WebauthnError::UserNotPresent | WebauthnError::UserNotVerified => Self::NotVerified,
            WebauthnError::CredentialMayNotBeHardwareBound | WebauthnError::CredentialBackupEligibilityInconsistent => {
                Self::Synchronised
            }
            WebauthnError::AuthenticationFailure | WebauthnError::SignatureInvalid => Self::Signature,
            other => Self::Refused(other),
        }
    }
}
