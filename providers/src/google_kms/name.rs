//! Resource names. Nothing but a well-formed one ever gets into a path.

use crate::{Error, KeyRef};

/// `projects/../locations/../keyRings/../cryptoKeys/..`, perhaps with `/cryptoKeyVersions/N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyName {
    name: String,
    /// Length of the part that names the key, without its version.
    key_len: usize,
}

impl KeyName {
    /// A name that Cloud KMS cannot give to a key is that of a key that does not exist.
    pub(super) fn of(key: &KeyRef) -> Result<Self, Error> {
        let parts: Vec<&str> = key.as_str().split('/').collect();
        let ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", id, version @ ..] = &parts[..]
        else {
            return Err(Error::NoSuchKey);
        };
        let versioned = match version {
            [] => true,
            ["cryptoKeyVersions", number] => is_number(number),
            _ => false,
        };
        if !versioned || ![project, location, ring, id].into_iter().all(|part| is_id(part)) {
            return Err(Error::NoSuchKey);
        }
        let key_len = parts[..8].iter().map(|part| part.len() + 1).sum::<usize>() - 1;
        Ok(Self { name: key.as_str().to_owned(), key_len })
    }

    /// As it was given.
    pub(super) fn as_str(&self) -> &str {
        &self.name
    }

    /// Without a version.
    pub(super) fn key(&self) -> &str {
        &self.name[..self.key_len]
    }

    /// The key ring that the key lies in.
    pub(super) fn key_ring(&self) -> &str {
        self.key().rsplitn(3, '/').last().unwrap_or_default()
    }

    /// The version's number, where the name says one.
    pub(super) fn version(&self) -> Option<&str> {
        self.number_in(&self.name)
    }

    /// This key with version `number`; `None` when it is no number, or the name says another.
    pub(super) fn at(&self, number: &str) -> Option<Self> {
        let fits = is_number(number) && self.version().is_none_or(|own| own == number);
        let name = format!("{}/cryptoKeyVersions/{number}", self.key());
        fits.then_some(Self { name, key_len: self.key_len })
    }

    /// The number in the name of a version of this very key.
    pub(super) fn number_in<'a>(&self, version: &'a str) -> Option<&'a str> {
        let number = version.strip_prefix(self.key())?.strip_prefix("/cryptoKeyVersions/")?;
        is_number(number).then_some(number)
    }
}

fn is_id(part: &str) -> bool {
    (1..=63).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok_and(|number| number > 0 && number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::KeyName;
    use crate::KeyRef;

    const KEY: &str = "projects/p-1/locations/eu/keyRings/r_1/cryptoKeys/K";

    #[test]
    fn takes_names_apart() {
        let name = KeyName::of(&KeyRef::new(format!("{KEY}/cryptoKeyVersions/12"))).unwrap();
        assert_eq!((name.key(), name.version()), (KEY, Some("12")));
        assert_eq!(name.key_ring(), "projects/p-1/locations/eu/keyRings/r_1");
        assert_eq!((name.at("12"), name.at("1")), (Some(name), None));
        let name = KeyName::of(&KeyRef::new(KEY)).unwrap();
        assert_eq!((name.key(), name.version()), (KEY, None));
        assert_eq!(name.at("3").unwrap().as_str(), format!("{KEY}/cryptoKeyVersions/3"));
        assert_eq!(name.number_in(&format!("{KEY}2/cryptoKeyVersions/3")), None);
    }

    #[test]
    fn takes_nothing_else() {
        let others =
            ["", "/", "/cryptoKeyVersions", "/cryptoKeyVersions/0", "/cryptoKeyVersions/01", ":encrypt", "?a", "%2F"];
        let wrong = ["", "K", "projects/../locations/eu/keyRings/r/cryptoKeys/k", "projects/p/locations/eu/keyRings/r"];
        let names = others[1..].iter().map(|rest| format!("{KEY}{rest}")).chain(wrong.map(str::to_owned));
        for name in names {
            assert!(KeyName::of(&KeyRef::new(&name)).is_err(), "{name}");
        }
    }
}
