//! Bytes that people read to each other.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// SHA-256 of a wrapping key.
pub type Fingerprint = Compared<32>;
/// `CKA_CHECK_VALUE` of a KEK.
pub type CheckValue = Compared<3>;

/// `N` bytes that people compare, in groups of eight hexadecimal digits with dashes between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Compared<const N: usize>([u8; N]);

/// Text that is not so many bytes in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {digits} hexadecimal digits")]
pub struct NotHexadecimal {
    digits: usize,
}

impl<const N: usize> Compared<N> {
    /// Takes the bytes as they are.
    #[must_use]
    pub(super) const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> fmt::Display for Compared<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.chunks(4).enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { "-" }, hex::encode(group))?;
        }
        Ok(())
    }
}

impl<const N: usize> FromStr for Compared<N> {
    type Err = NotHexadecimal;

    /// Takes the digits in either case, with dashes, colons and white space wherever people put them.
    fn from_str(text: &str) -> Result<Self, NotHexadecimal> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | ':')).collect();
        let mut bytes = [0; N];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NotHexadecimal { digits: 2 * N })?;
        Ok(Self(bytes))
    }
}

impl<const N: usize> TryFrom<String> for Compared<N> {
    type Error = NotHexadecimal;

    fn try_from(text: String) -> Result<Self, NotHexadecimal> {
        text.parse()
    }
}

impl<const N: usize> From<Compared<N>> for String {
    fn from(compared: Compared<N>) -> Self {
        compared.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Compared;

    #[test]
    fn is_read_however_people_write_it() {
        let said = Compared::new([0xab, 0, 1, 2, 0xff]);
        assert_eq!(said.to_string(), "ab000102-ff");
        for written in ["ab000102-ff", "AB:00:01:02:FF", " ab00 0102 ff\n", "ab000102ff"] {
            assert_eq!(written.parse(), Ok(said), "{written}");
        }
        for other in ["", "ab000102", "ab000102ff00", "ab000102fg", "+b000102ff", "äb000102ff"] {
            assert!(other.parse::<Compared<5>>().is_err(), "{other}");
        }
    }
}
