//! How bytes become text, hashes and objects: the same rules for every message.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt, marker::PhantomData};

/// Bytes that travel as base64url without padding (RFC 4648, section 5); anything but the one canonical form is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Base64Url<T>(pub T);

impl<T: AsRef<[u8]>> Serialize for Base64Url<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_base64url(self.0.as_ref()))
    }
}

impl<'de, T: TryFrom<Vec<u8>>> Deserialize<'de> for Base64Url<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = from_base64url(&text).map_err(de::Error::custom)?;
        T::try_from(bytes).map(Self).map_err(|_| de::Error::custom("the bytes have the wrong length or no valid value"))
    }
}

/// Text that is not the canonical base64url of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not base64url without padding")]
pub struct NotBase64Url;

/// Bytes of another length than the one length there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wrong length")]
pub struct WrongLength;

/// `bytes` as base64url without padding.
#[must_use]
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of base64url without padding; padding, other alphabets and loose trailing bits are refused.
pub fn from_base64url(text: &str) -> Result<Vec<u8>, NotBase64Url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotBase64Url)
}

/// SHA-256 over `len || bytes` of the label and then of each field, `len` being a u64, big endian.
///
/// No two different lists of fields give the same input.
#[must_use]
pub fn hash_fields(label: &str, fields: &[&[u8]]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &join_fields(label, fields));
    digest.as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes")
}

/// `len || bytes` of the label and then of each field, `len` being a u64, big endian.
pub(crate) fn join_fields(label: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(fields.iter().map(|field| field.len() + 8).sum::<usize>() + label.len() + 8);
    for field in std::iter::once(&label.as_bytes()).chain(fields) {
        joined.extend_from_slice(&(field.len() as u64).to_be_bytes());
        joined.extend_from_slice(field);
    }
    joined
}

/// Bytes that are not the JSON object (RFC 8259) that was asked for; tells the member and the place, never its value.
#[derive(Debug, thiserror::Error)]
#[error("not the expected JSON object: line {line}, column {column}")]
pub struct Malformed {
    /// Line of the first offence, from 1.
    pub line: usize,
    /// Column of the first offence, from 1.
    pub column: usize,
}

/// Reads one JSON object; an array in its place, a repeated member or anything after it is refused.
///
/// Unknown members are refused where `T` says so, as all requests do.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    borrow_json(bytes)
}

/// [`from_json`] for types that borrow their texts from `bytes`.
pub(crate) fn borrow_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    object(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Malformed { line: error.line(), column: error.column() })
}

/// For `deserialize_with`: serde's derived structs would take an array of their members too, this takes a map only.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(ObjectVisitor(PhantomData))
}

/// For `deserialize_with` of a member that may be absent, but not `null`.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use super::{Base64Url, from_base64url, from_json, hash_fields};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        a: u8,
        b: u8,
    }

    #[test]
    fn takes_one_object_and_nothing_like_it() {
        let pair: Pair = from_json(br#"{"a":1,"b":2}"#).unwrap();
        assert_eq!((pair.a, pair.b), (1, 2));
        for other in [r#"[1,2]"#, r#"{"a":1,"b":2,"a":1}"#, r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"b":2}{}"#, ""] {
            assert!(from_json::<Pair>(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn moving_a_byte_between_fields_changes_the_hash() {
        assert_ne!(hash_fields("l", &[b"ab", b"c"]), hash_fields("l", &[b"a", b"bc"]));
        assert_ne!(hash_fields("l", &[b"ab"]), hash_fields("l", &[b"ab", b""]));
        assert_ne!(hash_fields("la", &[b"b"]), hash_fields("l", &[b"ab"]));
    }

    #[test]
    fn takes_only_the_canonical_text() {
        assert_eq!(from_base64url("_-8").unwrap(), [0xff, 0xef]);
        for other in ["_-8=", "/+8", "_-9", "_", " _-8"] {
            assert!(from_base64url(other).is_err(), "{other}");
        }
        assert!(serde_json::from_str::<Base64Url<[u8; 3]>>(r#""_-8""#).is_err());
    }
}
