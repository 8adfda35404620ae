//! Why a login by OpenID Connect, or the end of one, is refused.

use super::{MAX_ANSWER, MAX_TOKEN};

/// What is wrong, and with whom: the configuration, the issuer, the browser's answer, or a token.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// Set another issuer or redirect URI.
    #[error("issuer and redirect URI must be https URLs without user, query or fragment")]
    Url,
    /// Give other certificates.
    #[error("not one or more certificates in PEM")]
    Roots(#[source] reqwest::Error),
    /// Try again later.
    #[error("the issuer gave no answer")]
    Unreachable(#[source] reqwest::Error),
    /// No redirect is followed.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// The rest was not read.
    #[error("the issuer's answer is longer than {MAX_ANSWER} bytes")]
    LongAnswer,
    /// It is no JSON, or misses something that it must have.
    #[error("the issuer's answer is not what the standard says")]
    MalformedAnswer(#[source] serde_json::Error),
    /// The document describes an issuer other than the one that was asked.
    #[error("the issuer calls itself something else")]
    AnotherIssuer,
    /// Secrets and tokens go over TLS alone.
    #[error("an endpoint of the issuer is no https URL")]
    Endpoint,
    /// The browser's answer belongs to no login that was begun in this browser.
    #[error("the answer is to another login")]
    State,
    /// The browser's answer comes from another issuer, or does not say from which (RFC 9207).
    #[error("the answer comes from another issuer")]
    MixedUp,
    /// Begin the login again.
    #[error("the issuer does not take the code: it was used, is too old, or was made for another login")]
    CodeRefused,
    /// Set another client id or secret.
    #[error("the issuer does not know the client, or not by this secret")]
    ClientRefused,
    /// Nothing in it was looked at.
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    LongToken,
    /// The outer form is wrong already, a claim that must be there is missing, or an extension is critical.
    #[error("not a token as the standard says")]
    MalformedToken,
    /// A token of another kind, such as an access token.
    #[error("the token is of another type")]
    Type,
    /// Not among those allowed here; `none` never is.
    #[error("the token is not signed by an allowed algorithm")]
    Algorithm,
    /// It is not asked again yet.
    #[error("the issuer gave no usable answer a moment ago")]
    Silent,
    /// Not there, or not yet: the issuer is asked at most once a minute.
    #[error("the token's key is not among the issuer's")]
    UnknownKey,
    /// The key is for another algorithm, or not for signatures.
    #[error("the token's algorithm does not fit its key")]
    Key,
    /// Another key signed, or something was altered.
    #[error("the token's signature is wrong")]
    Signature,
    /// Signed by a key of the issuer, in the name of another.
    #[error("the token is of another issuer")]
    Issuer,
    /// Made for another client.
    #[error("the token is for somebody else")]
    Audience,
    /// Begin the login again; or the clocks differ.
    #[error("the token has expired")]
    Expired,
    /// The clocks differ.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token was made for another login.
    #[error("the token answers another login")]
    Nonce,
    /// Ask the issuer with `max_age`.
    #[error("the token does not say when its person logged in")]
    NoAuthTime,
    /// The access token beside it was exchanged.
    #[error("the token belongs to another access token")]
    AccessToken,
    /// It says no end of a session, or not whose.
    #[error("the token ends no session")]
    NoLogout,
}

impl OidcError {
    /// Whether the issuer or the configuration is at fault, so that the same may be right another time.
    #[must_use]
    pub fn is_of_the_issuer(&self) -> bool {
        match self {
            Self::Url
            | Self::Roots(_)
            | Self::Unreachable(_)
            | Self::Status(_)
            | Self::LongAnswer
            | Self::MalformedAnswer(_)
            | Self::AnotherIssuer
            | Self::Endpoint
            | Self::ClientRefused
            | Self::Silent => true,
            Self::State
            | Self::MixedUp
            | Self::CodeRefused
            | Self::LongToken
            | Self::MalformedToken
            | Self::Type
            | Self::Algorithm
            | Self::UnknownKey
            | Self::Key
            | Self::Signature
            | Self::Issuer
            | Self::Audience
            | Self::Expired
            | Self::NotYetValid
            | Self::Nonce
            | Self::NoAuthTime
            | Self::AccessToken
            | Self::NoLogout => false,
        }
    }
}
