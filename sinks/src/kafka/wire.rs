//! The primitive types of Kafka's protocol, big endian, as its messages had them before they became flexible (KIP-482).

use std::str;

/// What came is not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a malformed answer")]
pub(super) struct Malformed;

/// Reads an answer. No length in it is believed: nothing is reserved before it is there.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(answer: &'a [u8]) -> Self {
        Self(answer)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn bytes_of<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Malformed> {
        Ok(self.bytes_of::<1>()? != [0])
    }

    pub(super) fn i16(&mut self) -> Result<i16, Malformed> {
        self.bytes_of().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        self.bytes_of().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Malformed> {
        self.bytes_of().map(i64::from_be_bytes)
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<&'a str>, Malformed> {
        match self.i16()? {
            -1 => Ok(None),
            len => {
                let bytes = self.take(usize::try_from(len).map_err(|_| Malformed)?)?;
                str::from_utf8(bytes).map(Some).map_err(|_| Malformed)
            }
        }
    }

    pub(super) fn string(&mut self) -> Result<&'a str, Malformed> {
        self.nullable_string()?.ok_or(Malformed)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.i32()?;
        self.take(usize::try_from(len).map_err(|_| Malformed)?)
    }

    /// Each element takes at least a byte, so that a wrong length ends with the answer.
    pub(super) fn array<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let mut elements = Vec::new();
        for _ in 0..self.i32()? {
            elements.push(element(self)?);
        }
        Ok(elements)
    }
}

/// Names of topics and mechanisms. What does not fit is cut: it is too long for Kafka in any case, which then says so.
pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    let len = i16::try_from(text.len()).unwrap_or(i16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(len.unsigned_abs())]);
}

/// At most 2 GiB.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Zigzag, then seven bits a byte, lowest first (as in Protocol Buffers).
pub(super) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
