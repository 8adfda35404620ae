//! The optional second factor: a secret that only the user knows and the broker never sees.

use crate::record::{Context, UserSecret};
use argon2::{Algorithm, Argon2, Params, Version};
use secret::Secret;
use zeroize::Zeroizing;

/// The user's secret of 32 bytes for one record: Argon2id (RFC 9106) with the second recommended parameters (64 MiB,
/// 3 passes, 4 lanes) and the record's context as salt.
///
/// The passphrase is taken as it comes: whoever reads it from a person brings it to Unicode NFC first.
///
/// # Errors
/// [`BadPassphrase`] when it is longer than Argon2 takes.
#[expect(clippy::disallowed_methods, reason = "Argon2 reads the passphrase where it lies")]
pub fn user_secret(passphrase: &Secret, context: &Context) -> Result<UserSecret, BadPassphrase> {
    let params = Params::new(64 * 1024, 3, 4, Some(32)).expect("invariant: RFC 9106 parameters are valid");
    let mut hash = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose(), context.as_bytes(), hash.as_mut_slice())
        .map_err(|_| BadPassphrase)?;
    Ok(Secret::copied_from(hash.as_slice()).try_into().expect("invariant: the hash has 32 bytes"))
}

/// A passphrase longer than Argon2 takes (2^32 - 1 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passphrase is too long")]
pub struct BadPassphrase;
