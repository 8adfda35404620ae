//! What keys are called.

use crate::{Error, KeyRef};

/// A key's name, and its version where one is pinned: `name` or `name/version`.
#[derive(Debug)]
pub(super) struct Name<'a> {
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
}

impl<'a> Name<'a> {
    /// The name, if a vault can have a key of it. Nothing else is ever put into a path, so no name can lead to another
    /// endpoint.
    pub(super) fn of(key: &'a KeyRef) -> Result<Self, Error> {
        let (key, version) = match key.as_str().split_once('/') {
            Some((key, version)) => (key, Some(version)),
            None => (key.as_str(), None),
        };
        if is_key(key) && version.is_none_or(is_version) { Ok(Self { key, version }) } else { Err(Error::NoSuchKey) }
    }
}

/// 1 to 127 letters, digits and dashes.
fn is_key(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// 32 hexadecimal digits.
pub(super) fn is_version(version: &str) -> bool {
    version.len() == 32 && version.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
