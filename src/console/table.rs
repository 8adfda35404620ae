//! Things of one kind, one a row.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::Row;
use super::frame::Frame;
use super::list::{Here, Links};
use super::refusal::Refusal;
use crate::api::Page;
use serde::de::DeserializeOwned;

/// Things of one kind.
pub(super) struct Table {
    pub(super) title: String,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<Cell>>,
    /// What to do where there are none.
    pub(super) empty: &'static str,
    pub(super) links: Option<Links>,
}

impl Table {
    /// One page of what the API lists at `at`, from where `here` says.
    pub(super) async fn read<T: Row + DeserializeOwned>(
        api: &Api,
        at: At,
        (here, base): (&Here, &str),
    ) -> Result<Self, Refusal> {
        let page: Page<T> = api.get(&here.part_of(at)).await?;
        let links = here.links(page.next.as_deref());
        Ok(Self { links: Some(links), ..Self::of("", &page.items, base) })
    }

    /// The first of what the API lists at `at`, under this title; nothing where that is not for whoever asks.
    pub(super) async fn first<T: Row + DeserializeOwned>(
        api: &Api,
        at: At,
        (title, base): (&str, &str),
    ) -> Result<Option<Self>, Refusal> {
        let page: Option<Page<T>> = api.find(&at.with("limit", "20")).await?;
        Ok(page.map(|page| Self::of(title, &page.items, base)))
    }

    /// These, under this title.
    pub(super) fn of<T: Row>(title: &str, items: &[T], base: &str) -> Self {
        let rows = items.iter().map(|item| item.cells(base)).collect();
        Self { title: title.into(), columns: T::COLUMNS, rows, empty: T::EMPTY, links: None }
    }

    /// The same, with links to more of it.
    pub(super) fn going_on(self, links: Links) -> Self {
        Self { links: Some(links), ..self }
    }

    /// What a screen reader calls it.
    pub(super) fn label<'t>(&'t self, frame: &'t Frame) -> &'t str {
        if self.title.is_empty() { &frame.title } else { &self.title }
    }
}
