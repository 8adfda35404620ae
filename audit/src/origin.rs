use std::fmt;
use std::sync::Arc;

/// Longest origin in bytes.
const MAX_LEN: usize = 255;

/// The name of one log, `<host>/<tenant>`: the `iss` of its leaves, the first line of its checkpoints and the key name
/// of its signatures (C2SP tlog-checkpoint). Visible ASCII without `+`, `#`, `"` and `\`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(Arc<str>);

/// The text is empty, longer than 255 bytes, or holds a character that no origin may hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log origin: 1 to 255 visible ASCII characters without `+`, `#`, `\"` and `\\` are")]
pub struct InvalidOrigin(pub String);

impl Origin {
    /// Checks and takes `origin`.
    ///
    /// # Errors
    /// [`InvalidOrigin`] when it cannot name a log.
    pub fn new(origin: &str) -> Result<Self, InvalidOrigin> {
        let fits = (1..=MAX_LEN).contains(&origin.len());
        let clean = origin.bytes().all(|byte| byte.is_ascii_graphic() && !b"+#\"\\".contains(&byte));
        if fits && clean { Ok(Self(origin.into())) } else { Err(InvalidOrigin(origin.into())) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant: what follows the last slash.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The identifier of the event at `index`: `<origin>#<index>`, the same in every format and over every replay.
    #[must_use]
    pub fn event_id(&self, index: u64) -> String {
        format!("{self}#{index}")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn refuses_what_would_break_a_note_or_an_event_id() {
        let origin = Origin::new("broker.example/acme").unwrap();
        assert_eq!((origin.tenant(), &*origin.event_id(7)), ("acme", "broker.example/acme#7"));
        for bad in ["", "a b", "a+b", "a#1", "a\nb", "é", "a\"b", &"a".repeat(256)] {
            assert!(Origin::new(bad).is_err(), "{bad}");
        }
    }
}
