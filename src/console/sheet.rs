//! A page: what it has to say, and what can be done about it, in order.

use super::cell::Cell;
use super::chart::Chart;
use super::diff::Change;
use super::filter::Filter;
use super::filters;
use super::form::{FieldKind, Form};
use super::frame::{Answer, Frame, page};
use super::table::Table;
use askama::Template;

/// A page of parts.
#[derive(Template)]
#[template(path = "sheet.html")]
pub(super) struct Sheet {
    frame: Frame,
    parts: Vec<Part>,
}

/// A part of a page.
enum Part {
    /// What has to be seen first.
    Note(String),
    /// Names and values.
    Facts(Vec<(&'static str, Cell)>),
    /// Numbers over time.
    Charts(Vec<Chart>),
    /// What narrows the table that follows.
    Filter(Filter),
    /// Events as they happen, from this path of the API.
    Stream(String),
    /// A way to verify an event in the browser: where the API has the tenant, and which event.
    Check(String, u64),
    /// Where policies are written.
    Editor(Editor),
    /// A text against another: a title, and what became of each line.
    Changes(&'static str, Vec<Line>),
    /// Things of one kind.
    Table(Table),
    /// What can be done.
    Form(Form),
}

/// Where policies are written.
pub(super) struct Editor {
    /// The API's path of the tenant's policies.
    pub(super) path: String,
    /// What it begins with.
    pub(super) text: String,
}

/// A line of a text against another.
struct Line {
    /// What became of it: also for who sees no colour.
    sign: char,
    text: String,
}

impl Line {
    fn of(change: &Change<'_>) -> Self {
        let (sign, text) = match change {
            Change::Same(text) => (' ', text),
            Change::Gone(text) => ('-', text),
            Change::New(text) => ('+', text),
        };
        Self { sign, text: (*text).to_owned() }
    }
}

impl Sheet {
    /// With nothing on it.
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, parts: Vec::new() }
    }

    /// With what has to be seen first.
    pub(super) fn note(mut self, note: Option<String>) -> Self {
        self.parts.extend(note.map(Part::Note));
        self
    }

    /// With these facts, beside those just before.
    pub(super) fn facts(mut self, facts: impl IntoIterator<Item = (&'static str, Cell)>) -> Self {
        if let Some(Part::Facts(before)) = self.parts.last_mut() {
            before.extend(facts);
            return self;
        }
        self.with(Part::Facts(facts.into_iter().collect()))
    }

    /// With these charts.
    pub(super) fn charts(self, charts: impl Into<Vec<Chart>>) -> Self {
        self.with(Part::Charts(charts.into()))
    }

    /// With what narrows the table that follows.
    pub(super) fn filter(self, filter: Filter) -> Self {
        self.with(Part::Filter(filter))
    }

    /// With events as they happen, from this path of the API.
    pub(super) fn stream(mut self, path: String) -> Self {
        self.frame.scripts.push("events.js");
        self.with(Part::Stream(path))
    }

    /// With a way to verify an event of the tenant that the API has at `log`.
    pub(super) fn check(mut self, log: String, index: u64) -> Self {
        self.frame.scripts.push("check.js");
        self.with(Part::Check(log, index))
    }

    /// With a place to write policies.
    pub(super) fn editor(mut self, editor: Editor) -> Self {
        self.frame.scripts.push("policies.js");
        self.with(Part::Editor(editor))
    }

    /// With a text against another, under this title.
    pub(super) fn changes(self, title: &'static str, changes: &[Change<'_>]) -> Self {
        self.with(Part::Changes(title, changes.iter().map(Line::of).collect()))
    }

    /// With one more table; none where there is nothing that may be seen.
    pub(super) fn table(mut self, table: impl Into<Option<Table>>) -> Self {
        self.parts.extend(table.into().map(Part::Table));
        self
    }

    /// With one more form, for whoever may use it.
    pub(super) fn form(mut self, form: Form) -> Self {
        self.parts.extend(Some(form).filter(|form| form.is_for(&self.frame)).map(Part::Form));
        self
    }

    /// With these forms, for whoever may use them.
    pub(super) fn forms(self, forms: impl IntoIterator<Item = Form>) -> Self {
        forms.into_iter().fold(self, Self::form)
    }

    /// As an answer.
    pub(super) fn page(self) -> Answer {
        page(&self)
    }

    fn with(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }
}
