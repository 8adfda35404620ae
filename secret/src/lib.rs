//! What stays hidden: the one type that holds key material, and the process that hosts it.
//!
//! A [`Secret`] cannot be printed, copied, compared or serialised, and is wiped when dropped. Looking inside is a
//! disallowed method by lint, so that every use carries its reason and can be found by grep.

mod process;

pub use process::{Hardening, harden_process};

use aws_lc_rs::{constant_time, rand};
use std::fmt;
use zeroize::Zeroizing;

/// Key material of a fixed length; wiped on drop.
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes over bytes that already have an owner of their own; `bytes` must not have been copied elsewhere.
    #[must_use]
    pub fn new(bytes: Box<[u8]>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Copies `bytes` into a new secret: for key material that arrives in a buffer somebody else wipes.
    #[must_use]
    pub fn copied_from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// `len` bytes from the system's random number generator.
    ///
    /// # Panics
    /// When the system has no randomness: nothing may go on without it.
    #[must_use]
    pub fn random(len: usize) -> Self {
        let mut bytes = Zeroizing::new(vec![0; len].into_boxed_slice());
        rand::fill(&mut bytes).expect("invariant: the system random number generator works");
        Self(bytes)
    }

    /// The bytes. Each use states its reason.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds exactly `other`, in time that depends on the lengths only.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.0, other).is_ok()
    }

    /// Splits at `at` into two secrets of their own, each wiped on its own.
    ///
    /// Returns `None` when there are fewer than `at` bytes.
    #[must_use]
    pub fn split_at(self, at: usize) -> Option<(Self, Self)> {
        let (head, tail) = self.0.split_at_checked(at)?;
        Some((Self::copied_from(head), Self::copied_from(tail)))
    }

    /// `self || tail`, for payloads that bind a secret to what it belongs to.
    #[must_use]
    pub fn followed_by(&self, tail: &[u8]) -> Self {
        let mut joined = Zeroizing::new(vec![0; self.len() + tail.len()].into_boxed_slice());
        joined[..self.len()].copy_from_slice(&self.0);
        joined[self.len()..].copy_from_slice(tail);
        Self(joined)
    }

    /// Two shares that only together say anything about the secret but its length: a one-time pad, and the secret under it.
    #[must_use]
    pub fn shares(&self) -> (Self, Self) {
        let pad = Self::random(self.len());
        let masked = self.masked_by(&pad);
        (pad, masked)
    }

    /// The secret of these two shares, in either order; `None` when their lengths differ.
    #[must_use]
    pub fn from_shares(one: &Self, other: &Self) -> Option<Self> {
        (one.len() == other.len()).then(|| one.masked_by(other))
    }

    fn masked_by(&self, pad: &Self) -> Self {
        let mut bytes = Zeroizing::new(vec![0; self.len()].into_boxed_slice());
        for (byte, (own, mask)) in bytes.iter_mut().zip(self.0.iter().zip(pad.0.iter())) {
            *byte = own ^ mask;
        }
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::copied_from(b"planted")), "Secret(..)");
    }

    #[test]
    fn joins_and_splits() {
        let joined = Secret::copied_from(b"key").followed_by(b"context");
        let (key, context) = joined.split_at(3).unwrap();
        assert!(key.matches(b"key") && context.matches(b"context"));
        assert!(Secret::copied_from(b"ab").split_at(3).is_none());
    }

    #[test]
    fn shares_give_the_secret_only_together() {
        let secret = Secret::copied_from(b"wrapping secret");
        let (one, other) = secret.shares();
        assert!(Secret::from_shares(&other, &one).unwrap().matches(b"wrapping secret"));
        let (another, _) = secret.shares();
        assert!(!Secret::from_shares(&another, &other).unwrap().matches(b"wrapping secret"));
        assert!(Secret::from_shares(&one, &Secret::random(3)).is_none());
        // The pad is random, so neither share is the same twice.
        assert_ne!(one.0, another.0);
    }
}
