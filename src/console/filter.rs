//! What narrows a list.

use super::list::Here;

/// A form that asks for the same page with another query.
pub(super) struct Filter {
    pub(super) fields: Vec<FilterField>,
}

/// One member of the query.
pub(super) struct FilterField {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// As the page was asked for.
    pub(super) value: String,
    /// The type of the input.
    pub(super) kind: &'static str,
    /// The only values that it may have, where that is so.
    pub(super) words: &'static [&'static str],
}

impl Filter {
    /// With nothing in it.
    pub(super) fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// With a text.
    pub(super) fn text(self, here: &Here, name: &'static str, label: &'static str) -> Self {
        self.with(here, (name, label), ("text", &[]))
    }

    /// With a moment, in UTC.
    pub(super) fn moment(self, here: &Here, name: &'static str, label: &'static str) -> Self {
        self.with(here, (name, label), ("datetime-local", &[]))
    }

    /// With one of these words.
    pub(super) fn word(
        self,
        here: &Here,
        (name, label): (&'static str, &'static str),
        words: &'static [&'static str],
    ) -> Self {
        self.with(here, (name, label), ("", words))
    }

    fn with(
        mut self,
        here: &Here,
        (name, label): (&'static str, &'static str),
        (kind, words): (&'static str, &'static [&'static str]),
    ) -> Self {
        self.fields.push(FilterField { name, label, value: here.value(name).into(), kind, words });
        self
    }
}
