//! A value, and how it is shown.

use super::filters;
use super::frame::escaped;

/// A value, and how it is shown.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    /// As it is.
    Text(String),
    /// What is copied rather than read.
    Code(String),
    /// What has a page of its own.
    Link {
        /// What is read.
        text: String,
        /// Where it leads.
        href: String,
    },
    /// A word that says how something stands.
    State(String),
    /// Unix milliseconds.
    Time(i64),
    /// How many.
    Count(u64),
    /// There is none.
    Nothing,
}

impl Cell {
    /// A thing with a page of its own in this folder below `base`.
    pub(super) fn link(base: &str, folder: &str, id: &impl ToString) -> Self {
        let text = id.to_string();
        Self::Link { href: format!("{base}/{folder}/{}", escaped(&text)), text }
    }

    /// What may be absent.
    pub(super) fn or_nothing<T>(value: Option<T>, shown: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Nothing, shown)
    }

    /// As a file has it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Code(text) | Self::State(text) | Self::Link { text, .. } => text.clone(),
            Self::Time(at) => filters::iso(*at),
            Self::Count(count) => count.to_string(),
            Self::Nothing => String::new(),
        }
    }
}
