//! The bundle: a record's key material under its data key. `factors(1) || prefix(7) || STREAM`.

use super::{Factors, KeySchedule, stream};
use secret::Secret;

/// The most key material one bundle holds, in bytes.
pub const MAX_MATERIAL: usize = 64 * 1024;
/// The longest bundle, in bytes.
pub const MAX_BUNDLE: usize = 1 + stream::PREFIX_LEN + stream::sealed_len(MAX_MATERIAL);

/// Why a bundle cannot be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// There is no material, or more than [`MAX_MATERIAL`].
    #[error("key material must have 1 to {MAX_MATERIAL} bytes")]
    MaterialLength,
    /// No prefix, too long, or with factors nobody knows.
    #[error("not a bundle")]
    Format,
    /// It was made with a user's secret and none was given, or the other way round.
    #[error("the record and the caller disagree on whether a user secret is needed")]
    Factors,
    /// These keys are not the record's: a wrong user secret, or somebody altered or exchanged the record.
    #[error("the keys are not those of this record")]
    Commitment,
    /// The keys are right and the bundle is not: altered, cut short, or of another record.
    #[error("the bundle was altered")]
    Altered,
}

/// Encrypts 1 to [`MAX_MATERIAL`] bytes of key material under the schedule's data key, once per schedule.
///
/// # Errors
/// [`BundleError::MaterialLength`].
pub fn seal_bundle(keys: &KeySchedule, material: &Secret) -> Result<Vec<u8>, BundleError> {
    let mut prefix = [0; stream::PREFIX_LEN];
    aws_lc_rs::rand::fill(&mut prefix).expect("invariant: the system random number generator works");
    seal_bundle_with_prefix(keys, material, &prefix)
}

/// [`seal_bundle`] with the nonce prefix given: for test vectors. Never use a prefix twice under one schedule.
///
/// # Errors
/// [`BundleError::MaterialLength`].
#[doc(hidden)]
pub fn seal_bundle_with_prefix(
    keys: &KeySchedule,
    material: &Secret,
    prefix: &[u8; stream::PREFIX_LEN],
) -> Result<Vec<u8>, BundleError> {
    if !(1..=MAX_MATERIAL).contains(&material.len()) {
        return Err(BundleError::MaterialLength);
    }
    let mut bundle = Vec::with_capacity(1 + stream::PREFIX_LEN + stream::sealed_len(material.len()));
    bundle.push(keys.factors as u8);
    bundle.extend_from_slice(prefix);
    stream::seal(&keys.data_key, &keys.context, prefix, material, &mut bundle);
    Ok(bundle)
}

/// Opens a bundle. The commitment is compared, in constant time, before anything is decrypted.
///
/// # Errors
/// All of [`BundleError`] but `MaterialLength`.
pub fn open_bundle(keys: &KeySchedule, commitment: &[u8; 32], bundle: &[u8]) -> Result<Secret, BundleError> {
    let (factors, prefix, sealed) = split(bundle)?;
    if factors != keys.factors {
        return Err(BundleError::Factors);
    }
    if !keys.is_committed_to(commitment) {
        return Err(BundleError::Commitment);
    }
    stream::open(&keys.data_key, &keys.context, prefix, sealed).map_err(|stream::Altered| BundleError::Altered)
}

/// Whether the bundle opens with a user's secret beside the wrapping secret. Nothing vouches for the answer yet.
///
/// # Errors
/// [`BundleError::Format`].
pub fn needs_user_secret(bundle: &[u8]) -> Result<bool, BundleError> {
    split(bundle).map(|(factors, ..)| factors == Factors::KmsAndUser)
}

fn split(bundle: &[u8]) -> Result<(Factors, &[u8; stream::PREFIX_LEN], &[u8]), BundleError> {
    if bundle.len() > MAX_BUNDLE {
        return Err(BundleError::Format);
    }
    let (factors, rest) = bundle.split_first().ok_or(BundleError::Format)?;
    let factors = match *factors {
        1 => Factors::Kms,
        3 => Factors::KmsAndUser,
        0 | 2 | 4.. => return Err(BundleError::Format),
    };
    let (prefix, sealed) = rest.split_first_chunk().ok_or(BundleError::Format)?;
    Ok((factors, prefix, sealed))
}
