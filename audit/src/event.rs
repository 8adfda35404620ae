//! Typed events: what can happen, and what may be said about it.
//!
//! There is no free-form field, and none can hold a key, a wrapped blob or a token.

mod kind;

pub use kind::{Kind, UnknownKind};

use crate::leaf::EventPublicKey;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

/// Longest clear text (KEK id, provider) in bytes; longer ones are cut at a character boundary.
pub const MAX_CLEAR: usize = 128;

/// Longest disclosable text in bytes; longer ones are cut at a character boundary, since losing the event would be worse.
pub const MAX_TEXT: usize = 1024;

/// `ok`, or why not: a stable reason code, 1 to 64 of `a-z`, `0-9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Outcome(Cow<'static, str>);

/// The text is no reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason code: 1 to 64 of a-z, 0-9 and _ are")]
pub struct InvalidOutcome(pub String);

impl Outcome {
    /// It was done.
    pub const OK: Self = Self(Cow::Borrowed("ok"));

    /// A reason code written in the source.
    ///
    /// # Panics
    /// When `code` is no reason code; in a `const`, that is a compile error.
    #[must_use]
    pub const fn from_static(code: &'static str) -> Self {
        assert!(is_reason_code(code.as_bytes()), "a reason code is 1 to 64 of a-z, 0-9 and _");
        Self(Cow::Borrowed(code))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Outcome {
    type Error = InvalidOutcome;

    fn try_from(code: String) -> Result<Self, InvalidOutcome> {
        if is_reason_code(code.as_bytes()) { Ok(Self(Cow::Owned(code))) } else { Err(InvalidOutcome(code)) }
    }
}

const fn is_reason_code(code: &[u8]) -> bool {
    let mut i = 0;
    while i < code.len() {
        if !matches!(code[i], b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        i += 1;
    }
    !code.is_empty() && code.len() <= 64
}

/// Where key material was visible while the event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// Nowhere: no key material was handled.
    #[default]
    None,
    /// In the broker's memory.
    PlaintextInBroker,
    /// Only under a key of the device.
    SealedToDevice,
}

/// A customer's key-encryption key: opaque id and version, both the broker's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KekRef {
    /// Opaque identifier.
    pub id: String,
    /// Version, counted by the broker.
    pub version: u64,
}

/// One thing that happened. Built with [`Event::new`] and the setters, signed with [`Event::sign`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened (`evt`).
    pub kind: Kind,
    /// Whether and why (`out`).
    pub outcome: Outcome,
    /// The KEK concerned (`kek`).
    pub kek: Option<KekRef>,
    /// The provider that holds the KEK (`prov`).
    pub provider: Option<String>,
    /// Joins what belongs together, above all a restore's intent and its outcome (`cor`).
    pub correlation: Option<Uuid>,
    /// SHA-256 of the policies in force (`cfg`).
    pub policy_digest: Option<[u8; 32]>,
    /// Where key material was visible (`exposure`).
    pub exposure: Exposure,
    /// The event key that this event announces (`event_key`): on `log.opened` and `log.key_rotated` only.
    pub event_key: Option<EventPublicKey>,
    texts: [Option<String>; Field::ALL.len()],
}

impl Event {
    /// An event about which nothing else is known yet.
    #[must_use]
    pub fn new(kind: Kind, outcome: Outcome) -> Self {
        Self {
            kind,
            outcome,
            kek: None,
            provider: None,
            correlation: None,
            policy_digest: None,
            exposure: Exposure::None,
            event_key: None,
            texts: [const { None }; Field::ALL.len()],
        }
    }

    /// The KEK concerned; the id is cut at [`MAX_CLEAR`] bytes.
    #[must_use]
    pub fn kek(mut self, id: impl Into<String>, version: u64) -> Self {
        self.kek = Some(KekRef { id: cut(id.into(), MAX_CLEAR), version });
        self
    }

    /// The provider that holds the KEK; cut at [`MAX_CLEAR`] bytes.
    #[must_use]
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(cut(provider.into(), MAX_CLEAR));
        self
    }

    /// What joins this event with others.
    #[must_use]
    pub fn correlation(mut self, correlation: Uuid) -> Self {
        self.correlation = Some(correlation);
        self
    }

    /// SHA-256 of the policies in force.
    #[must_use]
    pub fn policy_digest(mut self, digest: [u8; 32]) -> Self {
        self.policy_digest = Some(digest);
        self
    }

    /// Where key material was visible.
    #[must_use]
    pub fn exposure(mut self, exposure: Exposure) -> Self {
        self.exposure = exposure;
        self
    }

    /// The event key that signs from here on; every log begins with a `log.opened` that announces one.
    #[must_use]
    pub fn event_key(mut self, key: EventPublicKey) -> Self {
        self.event_key = Some(key);
        self
    }

    /// The text of a disclosable field: `None` when absent or withheld.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&str> {
        self.texts[field as usize].as_deref()
    }

    /// The disclosable fields that have a text, in the order of the leaf.
    pub fn texts(&self) -> impl Iterator<Item = (Field, &str)> {
        Field::ALL.into_iter().filter_map(|field| Some((field, self.text(field)?)))
    }

    /// Sets a disclosable field; cut at [`MAX_TEXT`] bytes.
    #[must_use]
    pub fn with_text(mut self, field: Field, text: impl Into<String>) -> Self {
        self.texts[field as usize] = Some(cut(text.into(), MAX_TEXT));
        self
    }
}

fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

/// Declares the disclosable fields: the enum, their claim names, and one setter of [`Event`] each.
macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident $name:ident),* $(,)?) => {
        /// A field that concerns a person or a secret of the tenant: the leaf holds only its digest.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Field { $($(#[$doc])* $variant),* }

        impl Field {
            /// All of them, in the order of the leaf.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// The claim name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name)),* }
            }
        }

        impl Event {
            $($(#[$doc])* #[must_use]
            pub fn $name(self, text: impl Into<String>) -> Self {
                self.with_text(Field::$variant, text)
            })*
        }
    };
}

fields! {
    /// Who did it: an administrator, an API token, the system.
    Actor actor,
    /// The device's id.
    Device device,
    /// The user's id.
    User user,
    /// The address it came from.
    Ip ip,
    /// The client software, as it names itself.
    Agent agent,
    /// The record's id, or how many records.
    Record record,
    /// The reason a person gave.
    Reason reason,
    /// The ticket a person referred to.
    Ticket ticket,
    /// The provider's own reference: its request id, to find the operation in its log.
    ProviderRef provider_ref,
    /// The policies that decided.
    Policy policy,
}

#[cfg(test)]
mod tests {
    use super::{Event, Field, Kind, MAX_TEXT, Outcome};

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let event =
            Event::new(Kind::RestoreDenied, Outcome::OK).reason("é".repeat(600)).agent("x".repeat(MAX_TEXT - 1) + "é");
        assert_eq!(event.text(Field::Reason).unwrap().len(), MAX_TEXT);
        assert_eq!(event.text(Field::Agent).unwrap().len(), MAX_TEXT - 1);
        assert_eq!(event.text(Field::Actor), None);
    }

    #[test]
    fn only_reason_codes_are_outcomes() {
        assert!(Outcome::try_from("policy_denied_2".to_owned()).is_ok());
        for bad in ["", "Denied", "no-dash", "a b", &"a".repeat(65)] {
            assert!(Outcome::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
