//! PKCS#11 URIs (RFC 7512), as far as they name tokens and keys. Strict: what is not understood is refused.

use cryptoki_sys::CK_TOKEN_INFO;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use thiserror::Error;

/// Why a text is no URI that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UriError {
    /// It does not begin with `pkcs11:`.
    #[error("a PKCS#11 URI begins with `pkcs11:`")]
    Scheme,
    /// A part has not the form `name=value`, or a character stands there that must be percent-encoded.
    #[error("the PKCS#11 URI is malformed")]
    Malformed,
    /// An attribute stands there twice.
    #[error("`{0}` stands there twice")]
    Repeated(String),
    /// An attribute that says nothing here.
    #[error("`{0}` cannot be used here")]
    Unknown(String),
    /// Nothing is named.
    #[error("the PKCS#11 URI names nothing")]
    Empty,
}

/// Which token of a module: every attribute given must be the token's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUri {
    text: String,
    label: Option<String>,
    serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
    slot: Option<u64>,
    pin_source: Option<PathBuf>,
}

impl TokenUri {
    /// The token of that label.
    #[must_use]
    pub fn labelled(label: &str) -> Self {
        let mut text = "pkcs11:token=".to_owned();
        for byte in label.bytes() {
            write!(text, "%{byte:02X}").expect("invariant: writing to a string does not fail");
        }
        let label = Some(label.to_owned());
        Self { text, label, serial: None, manufacturer: None, model: None, slot: None, pin_source: None }
    }

    /// The file of `?pin-source=file:..`.
    #[must_use]
    pub fn pin_source(&self) -> Option<&Path> {
        self.pin_source.as_deref()
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the token in `slot` is meant.
    pub(super) fn describes(&self, slot: u64, info: &CK_TOKEN_INFO) -> bool {
        let is = |wanted: &Option<String>, found: &[u8]| {
            wanted.as_deref().is_none_or(|wanted| wanted.as_bytes() == found.trim_ascii_end())
        };
        is(&self.label, &info.label)
            && is(&self.serial, &info.serialNumber)
            && is(&self.manufacturer, &info.manufacturerID)
            && is(&self.model, &info.model)
            && self.slot.is_none_or(|wanted| wanted == slot)
    }
}

impl FromStr for TokenUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let mut path = Attributes::parse(path.strip_prefix("pkcs11:").ok_or(UriError::Scheme)?, ';')?;
        let mut query = Attributes::parse(query.unwrap_or_default(), '&')?;
        let slot = path.text("slot-id")?.map(|id| id.parse().map_err(|_| UriError::Malformed)).transpose()?;
        let uri = Self {
            text: text.to_owned(),
            label: path.text("token")?,
            serial: path.text("serial")?,
            manufacturer: path.text("manufacturer")?,
            model: path.text("model")?,
            slot,
            pin_source: query.text("pin-source")?.map(|source| file_of(&source)).transpose()?,
        };
        let names_something = [&uri.label, &uri.serial, &uri.manufacturer, &uri.model].into_iter().any(Option::is_some);
        path.end()?;
        query.end()?;
        if names_something || uri.slot.is_some() { Ok(uri) } else { Err(UriError::Empty) }
    }
}

/// What sort of key a name can be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Secret,
    Private,
}

/// Which key of a token: a CKA_LABEL, or a URI of `object`, `id` (CKA_ID) and `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyName {
    label: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    kind: Option<KeyKind>,
}

impl KeyName {
    /// The key of that CKA_LABEL.
    pub(super) fn labelled(label: &str) -> Self {
        Self { label: Some(label.into()), id: None, kind: None }
    }

    /// A text that is no URI is a label.
    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        let Some(path) = text.strip_prefix("pkcs11:") else {
            return Ok(Self::labelled(text));
        };
        let mut path = Attributes::parse(path, ';')?;
        let kind = match path.text("type")?.as_deref() {
            None => None,
            Some("secret-key") => Some(KeyKind::Secret),
            Some("private") => Some(KeyKind::Private),
            Some(_) => return Err(UriError::Unknown("type".into())),
        };
        let name = Self { label: path.0.remove("object"), id: path.0.remove("id"), kind };
        path.end()?;
        if name.label.is_some() || name.id.is_some() { Ok(name) } else { Err(UriError::Empty) }
    }

    /// The public key that goes with a private key of that CKA_ID; by the same label where there is no id.
    pub(super) fn partner(&self, id: Vec<u8>) -> Self {
        if id.is_empty() {
            return Self { kind: None, ..self.clone() };
        }
        Self { label: None, id: Some(id), kind: None }
    }

    pub(super) fn label(&self) -> Option<&[u8]> {
        self.label.as_deref()
    }

    pub(super) fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    pub(super) fn may_be(&self, kind: KeyKind) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
    }
}

/// Decoded attributes that nobody has asked for yet.
struct Attributes(BTreeMap<String, Vec<u8>>);

impl Attributes {
    fn parse(text: &str, separator: char) -> Result<Self, UriError> {
        let mut found = BTreeMap::new();
        for part in text.split(separator).filter(|_| !text.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(UriError::Malformed)?;
            if found.insert(name.to_owned(), decode(value, separator)?).is_some() {
                return Err(UriError::Repeated(name.to_owned()));
            }
        }
        Ok(Self(found))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, UriError> {
        self.0.remove(name).map(|bytes| String::from_utf8(bytes).map_err(|_| UriError::Malformed)).transpose()
    }

    fn end(mut self) -> Result<(), UriError> {
        self.0.pop_first().map_or(Ok(()), |(name, _)| Err(UriError::Unknown(name)))
    }
}

/// The bytes of a value: RFC 7512, section 2.3, says which characters may stand for themselves.
fn decode(value: &str, separator: char) -> Result<Vec<u8>, UriError> {
    let also = if separator == ';' { "&" } else { "/?|" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=".contains(&byte);
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        (rest, bytes) = match first {
            b'%' => {
                let (digits, after) = after.split_first_chunk::<2>().ok_or(UriError::Malformed)?;
                (after, push(bytes, byte_of(*digits)?))
            }
            byte if plain(*byte) || also.as_bytes().contains(byte) => (after, push(bytes, *byte)),
            _ => return Err(UriError::Malformed),
        };
    }
    Ok(bytes)
}

fn push(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}

fn byte_of(digits: [u8; 2]) -> Result<u8, UriError> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let [high, low] = digits.map(digit);
    Ok(high.ok_or(UriError::Malformed)? * 16 + low.ok_or(UriError::Malformed)?)
}

/// The path of `file:/path` or `file:///path`; commands (`|program`) are refused.
fn file_of(source: &str) -> Result<PathBuf, UriError> {
    let path = source.strip_prefix("file:").ok_or(UriError::Unknown("pin-source".into()))?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.starts_with('/') { Ok(path.into()) } else { Err(UriError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::{KeyName, TokenUri, UriError};
    use proptest::prelude::*;

    #[test]
    fn reads_what_rfc_7512_shows() {
        let uri: TokenUri =
            "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;serial=;slot-id=327?pin-source=file:/etc/token_pin"
                .parse()
                .unwrap();
        assert_eq!(uri.label.as_deref(), Some("The Software PKCS#11 Softtoken"));
        assert_eq!(uri.manufacturer.as_deref(), Some("Snake Oil, Inc."));
        assert_eq!((uri.model.as_deref(), uri.serial.as_deref(), uri.slot), (Some("1.0"), Some(""), Some(327)));
        assert_eq!(uri.pin_source().unwrap().to_str(), Some("/etc/token_pin"));
        let key = KeyName::parse("pkcs11:object=my-key;id=%00%fF;type=secret-key").unwrap();
        assert_eq!((key.label(), key.id()), (Some(&b"my-key"[..]), Some(&[0, 0xff][..])));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        let refusals = [
            ("token=byok", UriError::Scheme),
            ("PKCS11:token=byok", UriError::Scheme),
            ("pkcs11:", UriError::Empty),
            ("pkcs11:?pin-source=file:/pin", UriError::Empty),
            ("pkcs11:token", UriError::Malformed),
            ("pkcs11:token=byok;", UriError::Malformed),
            ("pkcs11:token=a b", UriError::Malformed),
            ("pkcs11:token=a/b", UriError::Malformed),
            ("pkcs11:token=%", UriError::Malformed),
            ("pkcs11:token=%2", UriError::Malformed),
            ("pkcs11:token=%+1", UriError::Malformed),
            ("pkcs11:token=%FF", UriError::Malformed),
            ("pkcs11:slot-id=-1", UriError::Malformed),
            ("pkcs11:token=a;token=a", UriError::Repeated("token".into())),
            ("pkcs11:token=a;object=b", UriError::Unknown("object".into())),
            ("pkcs11:token=a?pin-value=1234", UriError::Unknown("pin-value".into())),
            ("pkcs11:token=a?module-path=/lib", UriError::Unknown("module-path".into())),
            ("pkcs11:token=a?pin-source=|pin", UriError::Unknown("pin-source".into())),
            ("pkcs11:token=a?pin-source=file:pin", UriError::Malformed),
        ];
        for (text, refusal) in refusals {
            assert_eq!(text.parse::<TokenUri>(), Err(refusal), "{text}");
        }
        assert_eq!(KeyName::parse("pkcs11:type=private"), Err(UriError::Empty));
        assert_eq!(KeyName::parse("pkcs11:object=a;type=public"), Err(UriError::Unknown("type".into())));
    }

    proptest! {
        #[test]
        fn any_label_comes_back(label in ".*") {
            let uri: TokenUri = TokenUri::labelled(&label).as_str().parse().unwrap();
            prop_assert_eq!(uri, TokenUri::labelled(&label));
        }

        #[test]
        fn no_text_is_too_strange(text in ".*") {
            let _refused = format!("pkcs11:{text}").parse::<TokenUri>();
            let _refused = KeyName::parse(&format!("pkcs11:{text}"));
        }
    }
}
