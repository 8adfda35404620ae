//! `secret || context`: the 64 bytes that every provider wraps.
//!
//! Carrying the context inside the payload binds it on every provider, also where the vendor's algorithm has no
//! associated data (AES-KW, RSA-OAEP). 64 bytes fit RSA-2048 OAEP, and AES-KW needs no padding for them.

use crate::{Context, Error};
use secret::Secret;
use thiserror::Error;

/// Length in bytes of the secrets that providers wrap.
pub const SECRET_LEN: usize = 32;

/// A secret of a length that no provider wraps.
#[derive(Debug, Error)]
#[error("a secret of {0} bytes cannot be wrapped, it must have {SECRET_LEN}")]
pub struct SecretLength(usize);

/// A secret and the context it belongs to, joined; or what a vendor unwrapped and nobody has checked yet.
#[derive(Debug)]
pub(crate) struct Payload(Secret);

impl Payload {
    /// Length in bytes of every payload made by [`Payload::bind`].
    pub(crate) const LEN: usize = SECRET_LEN + 32;

    /// Joins `secret` and `context`.
    pub(crate) fn bind(secret: &Secret, context: &Context) -> Result<Self, Error> {
        if secret.len() == SECRET_LEN {
            Ok(Self(secret.followed_by(context.as_bytes())))
        } else {
            Err(Error::broken(SecretLength(secret.len())))
        }
    }

    /// Takes what a vendor unwrapped, of any length.
    pub(crate) fn unwrapped(bytes: Secret) -> Self {
        Self(bytes)
    }

    /// The bytes to wrap.
    pub(crate) fn bytes(&self) -> &Secret {
        &self.0
    }

    /// Gives out the secret only if it was bound to `context`; compared in constant time.
    pub(crate) fn release(self, context: &Context) -> Result<Secret, Error> {
        match self.0.split_at(SECRET_LEN) {
            Some((secret, bound)) if bound.matches(context.as_bytes()) => Ok(secret),
            Some(_) | None => Err(Error::Mismatch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Payload;
    use crate::{Context, Error};
    use secret::Secret;

    const CONTEXT: Context = Context::new([7; 32]);

    #[test]
    fn releases_only_what_was_bound_to_the_context() {
        let bound = || Payload::bind(&Secret::copied_from(&[1; 32]), &CONTEXT).unwrap();
        assert!(bound().release(&CONTEXT).unwrap().matches(&[1; 32]));
        assert!(matches!(bound().release(&Context::new([8; 32])), Err(Error::Mismatch)));
    }

    #[test]
    fn releases_nothing_of_another_length() {
        for len in [0, 31, 32, 63, 65, 96] {
            let release = Payload::unwrapped(Secret::copied_from(&vec![7; len])).release(&CONTEXT);
            assert!(matches!(release, Err(Error::Mismatch)), "{len} bytes");
        }
    }
}
