//! What can be done from a page: the browser asks the API itself.

use super::client::At;
use super::frame::Frame;
use policies::admin::Act;
use serde_json::Value;

/// A field of a form.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: FieldKind,
}

/// What a field holds.
pub(super) enum FieldKind {
    /// What nobody fills in.
    Fixed(Value),
    /// A text.
    Text,
    /// A text, or nothing.
    Optional,
    /// Words, with spaces or commas between them; it begins with these.
    Words(String),
    /// A number that is not negative.
    Number,
    /// The same, or nothing.
    OptionalNumber,
    /// One of these: value and label.
    Choice(Vec<(String, String)>),
    /// One of these, which takes the place of `{name}` in the path, where it stands escaped.
    Which(Vec<(String, String)>),
    /// Some of these, of which the second members are chosen already.
    Some(Vec<(String, bool)>),
}

impl Field {
    fn new(name: &'static str, label: &'static str, kind: FieldKind) -> Self {
        Self { name, label, kind }
    }

    /// A member of the request that nobody fills in.
    pub(super) fn fixed(name: &'static str, value: Value) -> Self {
        Self::new(name, "", FieldKind::Fixed(value))
    }

    /// A text.
    pub(super) fn text(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, FieldKind::Text)
    }

    /// A text, or nothing.
    pub(super) fn optional(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, FieldKind::Optional)
    }

    /// Words, with spaces or commas between them; it begins with these.
    pub(super) fn words(name: &'static str, label: &'static str, words: &[String]) -> Self {
        Self::new(name, label, FieldKind::Words(words.join(" ")))
    }

    /// A number that is not negative.
    pub(super) fn number(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, FieldKind::Number)
    }

    /// A number that is not negative, or nothing.
    pub(super) fn optional_number(name: &'static str, label: &'static str) -> Self {
        Self::new(name, label, FieldKind::OptionalNumber)
    }

    /// One of these: value and label.
    pub(super) fn choice(name: &'static str, label: &'static str, choices: Vec<(String, String)>) -> Self {
        Self::new(name, label, FieldKind::Choice(choices))
    }

    /// Which of these: the value takes the place of `{name}` in the path, where it stands escaped.
    pub(super) fn which(name: &'static str, label: &'static str, choices: Vec<(String, String)>) -> Self {
        Self::new(name, label, FieldKind::Which(choices))
    }

    /// Some of these words; of those with `true`, it begins.
    pub(super) fn some(name: &'static str, label: &'static str, words: Vec<(String, bool)>) -> Self {
        Self::new(name, label, FieldKind::Some(words))
    }

    /// Why, for the log.
    pub(super) fn reason() -> Self {
        Self::text("reason", "Reason, for the log")
    }
}

/// A `POST` to the API.
pub(super) struct Form {
    pub(super) title: &'static str,
    /// What is lost.
    pub(super) warning: String,
    pub(super) path: String,
    pub(super) fields: Vec<Field>,
    pub(super) danger: bool,
    /// What of the script handles it, where it is no plain request.
    pub(super) way: Option<&'static str>,
    /// What it needs; nothing where it concerns one's own.
    needs: Option<Act>,
}

impl Form {
    /// Something that can be undone.
    pub(super) fn plain(needs: Act, title: &'static str, at: &At, fields: impl Into<Vec<Field>>) -> Self {
        Self { needs: Some(needs), ..Self::own(title, at, fields) }
    }

    /// Something with what is one's own.
    pub(super) fn own(title: &'static str, at: &At, fields: impl Into<Vec<Field>>) -> Self {
        let (path, fields) = (at.path().to_owned(), fields.into());
        Self { title, warning: String::new(), path, fields, danger: false, way: None, needs: None }
    }

    /// The same, as something that cannot be undone; `warning` says what is lost.
    pub(super) fn warning(self, warning: impl Into<String>) -> Self {
        Self { warning: warning.into(), danger: true, ..self }
    }

    /// The same, handled by this part of the script.
    pub(super) fn by(self, way: &'static str) -> Self {
        Self { way: Some(way), ..self }
    }

    /// Whether whoever is signed in may do it, as far as the API has told.
    pub(super) fn is_for(&self, frame: &Frame) -> bool {
        self.needs.is_none_or(|act| frame.may(act))
    }
}
