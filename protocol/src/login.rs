//! How a device proves that its user has just logged in: an ID token of the company's issuer that is good for one restore.

use crate::encoding::{hash_fields, to_base64url};
use crate::sealing::SealingKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Longest ID token that is taken, in bytes.
pub const MAX_ID_TOKEN: usize = 8 * 1024;

/// The `nonce` to log in with (OpenID Connect Core 1.0, section 3.1.2.1): base64url of
/// `hash_fields("keyfold/1 login", device, receive key)`. So a token of another device or restore proves nothing.
#[must_use]
pub fn nonce(device: Uuid, receive_key: &SealingKey) -> String {
    to_base64url(&hash_fields("keyfold/1 login", &[device.as_bytes(), receive_key.as_ref()]))
}

/// An ID token as the issuer gave it, not verified: 1 to [`MAX_ID_TOKEN`] of `A-Z a-z 0-9 . _ -`. It says who somebody is, so it
/// is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdToken(String);

/// The text is no ID token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an ID token is 1 to {MAX_ID_TOKEN} of A-Z a-z 0-9 . _ -")]
pub struct BadIdToken;

impl IdToken {
    /// The token as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdToken(..)")
    }
}

impl TryFrom<String> for IdToken {
    type Error = BadIdToken;

    fn try_from(text: String) -> Result<Self, BadIdToken> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=MAX_ID_TOKEN).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(BadIdToken)
        }
    }
}

impl FromStr for IdToken {
    type Err = BadIdToken;

    fn from_str(text: &str) -> Result<Self, BadIdToken> {
        Self::try_from(text.to_owned())
    }
}

impl From<IdToken> for String {
    fn from(token: IdToken) -> Self {
        token.0
    }
}

#[cfg(test)]
mod tests {
    use super::{IdToken, MAX_ID_TOKEN};

    #[test]
    fn a_token_is_bounded_and_never_printed() {
        let token: IdToken = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln_-".parse().unwrap();
        assert_eq!(format!("{token:?}"), "IdToken(..)");
        assert!("a".repeat(MAX_ID_TOKEN).parse::<IdToken>().is_ok());
        for bad in ["", "a b", "a\n", "ä", &"a".repeat(MAX_ID_TOKEN + 1)] {
            assert!(bad.parse::<IdToken>().is_err(), "{bad}");
        }
    }
}
