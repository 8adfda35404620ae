use aws_lc_rs::digest::{self, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&SHA256, bytes);
    digest.as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes")
}

/// 32 bytes as JSON carries them: base64url without padding, 43 characters, without a heap allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Encoded([u8; 43]);

impl Encoded {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        let mut text = [0; 43];
        let len = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        debug_assert_eq!(len, Ok(43));
        Self(text)
    }

    pub(crate) fn sha256_of(bytes: &[u8]) -> Self {
        Self::new(&sha256(bytes))
    }

    /// Accepts exactly what [`Encoded::new`] writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text: [u8; 43] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 33];
        (URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(32)).then_some(Self(text))
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 33];
        let len = URL_SAFE_NO_PAD.decode_slice(self.0, &mut bytes);
        debug_assert_eq!(len, Ok(32));
        std::array::from_fn(|i| bytes[i])
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("invariant: base64url is ASCII")
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not 32 bytes in base64url without padding"))
    }
}
