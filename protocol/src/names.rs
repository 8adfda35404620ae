//! What things are called: names with one spelling and a bounded length, safe in a URL, a log line and a hash.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A text that breaks the rule of the name or text it was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct BadName {
    what: &'static str,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $max:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub struct $name(String);

        impl $name {
            /// The name as it is spelled everywhere.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                let allowed: fn(u8) -> bool = $allowed;
                // A URL path takes `.` and `..` for a walk up the tree.
                if (1..=$max).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('.') {
                    Ok(Self(text))
                } else {
                    Err(BadName { what: $what, rule: $rule })
                }
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A customer of the broker: 1 to 128 of `A-Z a-z 0-9 . _ @ -`, no dot first.
    TenantId, "a tenant id", "1 to 128 of A-Z a-z 0-9 . _ @ -, no dot first", 128, is_id_byte
);
name!(
    /// A user of a tenant: 1 to 128 of `A-Z a-z 0-9 . _ @ -`, no dot first.
    UserId, "a user id", "1 to 128 of A-Z a-z 0-9 . _ @ -, no dot first", 128, is_id_byte
);
name!(
    /// What a record holds, such as `identity` or `archive`: 1 to 32 of `a-z 0-9 -`.
    Kind, "a kind", "1 to 32 of a-z 0-9 -", 32, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
);
name!(
    /// Which of a tenant's ingress keys: 1 to 64 of `A-Z a-z 0-9 . _ @ -`, no dot first.
    IngressId, "an ingress key id", "1 to 64 of A-Z a-z 0-9 . _ @ -, no dot first", 64, is_id_byte
);

fn is_id_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'@' | b'-')
}

/// Words of a person, shown to other people: 1 to `MAX` bytes of UTF-8, without control characters and without the
/// characters that reverse the direction of what is displayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        if (1..=MAX).contains(&text.len()) && !text.chars().any(is_unprintable) {
            Ok(Self(text))
        } else {
            Err(BadName { what: "a text", rule: "printable, not empty and within its length" })
        }
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::try_from(text.to_owned())
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{Kind, TenantId, Text, UserId};

    #[test]
    fn names_have_one_spelling() {
        assert_eq!("alice@example.org".parse::<UserId>().unwrap().as_str(), "alice@example.org");
        for bad in ["", "a/b", "..", "a b", "ä", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
        for bad in ["", "Identity", "a_b", &"x".repeat(33)] {
            assert!(bad.parse::<Kind>().is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_show_what_they_say() {
        assert!("Größe, 鍵, ok".parse::<Text<64>>().is_ok());
        for bad in ["", "a\nb", "pay \u{202e}evil", &"x".repeat(65)] {
            assert!(bad.parse::<Text<64>>().is_err(), "{bad:?}");
        }
    }
}
