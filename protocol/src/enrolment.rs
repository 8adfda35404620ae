//! One-time enrolment codes: 128 random bits that a person can read out, type, and mistype without harm.

use crate::encoding::hash_fields;
use aws_lc_rs::rand;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX: &str = "KF";
const CODE_LEN: usize = 16;
/// 128 bits of code and 12 bits of checksum, 5 a symbol.
const SYMBOLS: usize = 28;
const GROUP: usize = 4;

/// A one-time enrolment code: `KF-` and seven groups of four, such as `KF-0000-0000-0000-0000-0000-0000-0000`.
///
/// It is a secret until it is spent: `Debug` prints nothing of it and it is wiped on drop.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EnrolmentCode([u8; CODE_LEN]);

/// A text that is no enrolment code; the checksum catches what was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an enrolment code, or mistyped")]
pub struct BadCode;

impl EnrolmentCode {
    /// A new code.
    #[must_use]
    pub fn generate() -> Self {
        let mut code = [0; CODE_LEN];
        rand::fill(&mut code).expect("invariant: the system random number generator works");
        Self(code)
    }

    /// `hash_fields("keyfold/1 enrolment code", code)`: what the broker stores and looks up.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash_fields("keyfold/1 enrolment code", &[&self.0])
    }

    /// The text to hand to a person, wiped on drop.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let bits = self.checked_bits();
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + SYMBOLS + SYMBOLS / GROUP));
        text.push_str(PREFIX);
        for place in 0..SYMBOLS {
            if place % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[symbol_at(&bits, place)]));
        }
        text
    }

    /// The code, then the first 12 bits of its checksum, then 4 bits of nothing.
    fn checked_bits(&self) -> Zeroizing<[u8; CODE_LEN + 2]> {
        let mut bits = Zeroizing::new([0; CODE_LEN + 2]);
        bits[..CODE_LEN].copy_from_slice(&self.0);
        let checksum = hash_fields("keyfold/1 enrolment checksum", &[&self.0]);
        bits[CODE_LEN] = checksum[0];
        bits[CODE_LEN + 1] = checksum[1] & 0xf0;
        bits
    }
}

impl FromStr for EnrolmentCode {
    type Err = BadCode;

    /// Takes any case, any dashes and spaces, `O` for `0`, `I` and `L` for `1`, with or without the prefix.
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let mut symbols = Zeroizing::new([0; PREFIX.len() + SYMBOLS]);
        let mut len = 0;
        for byte in text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
            *symbols.get_mut(len).ok_or(BadCode)? = value_of(byte).ok_or(BadCode)?;
            len += 1;
        }
        let prefix = PREFIX.bytes().filter_map(value_of);
        let symbols = match len {
            SYMBOLS => &symbols[..SYMBOLS],
            len if len == symbols.len() && prefix.eq(symbols[..PREFIX.len()].iter().copied()) => {
                &symbols[PREFIX.len()..]
            }
            0.. => return Err(BadCode),
        };
        let mut code = Self([0; CODE_LEN]);
        for bit in 0..CODE_LEN * 8 {
            code.0[bit / 8] |= (symbols[bit / 5] >> (4 - bit % 5) & 1) << (7 - bit % 8);
        }
        let bits = code.checked_bits();
        let matches = symbols.iter().enumerate().all(|(place, &symbol)| usize::from(symbol) == symbol_at(&bits, place));
        if matches { Ok(code) } else { Err(BadCode) }
    }
}

/// The five bits of `bits` from `5 * place` on.
fn symbol_at(bits: &[u8; CODE_LEN + 2], place: usize) -> usize {
    (5 * place..5 * place + 5).fold(0, |symbol, bit| symbol << 1 | usize::from(bits[bit / 8] >> (7 - bit % 8) & 1))
}

fn value_of(byte: u8) -> Option<u8> {
    let canonical = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|&symbol| symbol == canonical).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentCode(..)")
    }
}

impl Serialize for EnrolmentCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

impl<'de> Deserialize<'de> for EnrolmentCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadCode, EnrolmentCode};
    use proptest::prelude::*;

    #[test]
    fn forgives_how_it_is_typed() {
        let code = EnrolmentCode::generate();
        let text = code.reveal().to_string();
        assert_eq!((text.len(), &text[..3]), (37, "KF-"));
        let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        for typed in [&text, &sloppy, &text[3..], &text.replace('-', "")] {
            assert_eq!(typed.parse(), Ok(EnrolmentCode(code.0)), "{typed}");
        }
    }

    #[test]
    fn notices_a_wrong_symbol() {
        let text = EnrolmentCode([0x5a; 16]).reveal().to_string();
        let missed = (3..text.len())
            .flat_map(|at| ["Z", "7", "U"].map(|other| format!("{}{other}{}", &text[..at], &text[at + 1..])))
            .filter(|typed| *typed != text && typed.parse::<EnrolmentCode>().is_ok());
        assert_eq!(missed.count(), 0);
        for bad in ["", "KF", &text[..36], &format!("{text}0"), &text.replace("KF", "FK")] {
            assert_eq!(bad.parse::<EnrolmentCode>(), Err(BadCode), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_code_comes_back(code: [u8; 16], noise in ".{0,60}") {
            prop_assert_eq!(EnrolmentCode(code).reveal().parse(), Ok(EnrolmentCode(code)));
            let _ = noise.parse::<EnrolmentCode>();
        }
    }
}
