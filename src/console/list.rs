//! Where in a list a page is, and the links to what else there is.

use super::client::At;
use super::filters;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use std::convert::Infallible;
use url::form_urlencoded::{Serializer, parse};

/// Items that a page shows.
const SHOWN: &str = "50";

/// Where whoever asks for a page is: its path, and what is in its query.
pub(super) struct Here {
    path: String,
    query: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Here {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, state).await?;
        let query = parse(uri.query().unwrap_or_default().as_bytes()).into_owned();
        // An empty field of a form is no filter.
        Ok(Self { path: uri.path().into(), query: query.filter(|(_, value)| !value.is_empty()).collect() })
    }
}

impl Here {
    /// What the query says under this name; empty where it says nothing.
    pub(super) fn value(&self, name: &str) -> &str {
        self.query.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The same list of the API, filtered as this page is. What the API cannot filter by, it refuses.
    pub(super) fn filtered(&self, at: At) -> At {
        self.filters().fold(at, |at, (name, value)| match (name, filters::from_form(value)) {
            ("since" | "until", Some(moment)) => at.with(name, &moment.to_string()),
            (_, _) => at.with(name, value),
        })
    }

    /// What this page shows of the list of the API.
    pub(super) fn part_of(&self, at: At) -> At {
        self.filtered(at).with("after", self.value("after")).with("limit", SHOWN)
    }

    /// Links to the rest of a list that goes on after `next`.
    pub(super) fn links(&self, next: Option<&str>) -> Links {
        let first = (!self.value("after").is_empty()).then(|| self.after(""));
        Links { first, next: next.map(|next| self.after(next)), csv: Some(self.csv()) }
    }

    /// Links to the rest of a list that goes backwards from an index.
    pub(super) fn up_to(&self, next: Option<u64>) -> Links {
        let others = || self.filters().filter(|(name, _)| *name != "to");
        let first = (!self.value("to").is_empty()).then(|| link(&self.path, others()));
        let next = next.map(|to| to.to_string());
        let next = next.as_ref().map(|to| link(&self.path, others().chain([("to", to.as_str())])));
        Links { first, next, csv: Some(link(&format!("{}.csv", self.path), others())) }
    }

    fn filters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().filter(|(name, _)| name != "after").map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same page, going on after this item.
    fn after(&self, after: &str) -> String {
        let next = Some(("after", after)).filter(|_| !after.is_empty());
        link(&self.path, self.filters().chain(next))
    }

    /// The whole list as a file.
    fn csv(&self) -> String {
        link(&format!("{}.csv", self.path), self.filters())
    }
}

/// A path with a query.
fn link<'a>(path: &str, query: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let query = Serializer::new(String::new()).extend_pairs(query).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

impl Links {
    /// The same, of a list whose file is there.
    pub(super) fn file(self, csv: String) -> Self {
        Self { csv: Some(csv), ..self }
    }
}

/// Where else a list can be had.
pub(super) struct Links {
    /// Where its first page is, where this is another.
    pub(super) first: Option<String>,
    /// Where it goes on.
    pub(super) next: Option<String>,
    /// All of it, as a file.
    pub(super) csv: Option<String>,
}
