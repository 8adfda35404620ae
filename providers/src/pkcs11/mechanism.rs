//! The ways to wrap, by the names that [`crate::Wrapped::version`] records.

use crate::payload::Payload;
use std::fmt;

/// How a key wraps. All but AES-GCM have no associated data: the payload alone carries the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// AES Key Wrap, RFC 3394.
    AesKw,
    /// AES Key Wrap with Padding, RFC 5649.
    AesKwp,
    /// AES-GCM with the context as associated data: 12 bytes of IV, ciphertext, 16 bytes of tag.
    AesGcm,
    /// RSA-OAEP with SHA-256 and MGF1 of the same, RFC 8017, section 7.1.
    RsaOaepSha256,
    /// RSA-OAEP with SHA-1, for modules that have no other.
    RsaOaepSha1,
}

impl Mechanism {
    /// All of them, the preferred first.
    pub const ALL: [Self; 5] = [Self::AesKw, Self::AesKwp, Self::AesGcm, Self::RsaOaepSha256, Self::RsaOaepSha1];

    /// The name, as records have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesKw => "aes-kw",
            Self::AesKwp => "aes-kwp",
            Self::AesGcm => "aes-gcm",
            Self::RsaOaepSha256 => "rsa-oaep-sha256",
            Self::RsaOaepSha1 => "rsa-oaep-sha1",
        }
    }

    /// Whether a wrapped payload can have that length in bytes.
    pub(super) const fn makes(self, length: usize) -> bool {
        match self {
            Self::AesKw | Self::AesKwp => length == Payload::LEN + 8,
            Self::AesGcm => length == Payload::LEN + 28,
            // As long as the modulus: 1024 to 16384 bits.
            Self::RsaOaepSha256 | Self::RsaOaepSha1 => length >= 128 && length <= 2048,
        }
    }

    /// The mechanism of exactly that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
