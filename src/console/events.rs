//! A tenant's log.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Part, Row};
use super::filter::Filter;
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Event, Events, ProvenEvent};
use axum::extract::Path;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// What an event says in clear (docs/AUDIT-FORMAT.md).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Claims {
    evt: String,
    out: String,
    iat: i64,
    cor: Option<String>,
    prov: Option<String>,
    kek: Option<Kek>,
}

#[derive(Debug, Deserialize)]
struct Kek {
    id: String,
}

/// An event as it is read; nothing of it is verified here.
pub(super) struct Line {
    index: u64,
    claims: Claims,
    disclosed: Vec<(String, String)>,
}

impl Line {
    /// What the event says. What cannot be read of it is empty.
    pub(super) fn of(event: &Event) -> Self {
        let claims = event.leaf.split('.').nth(1).and_then(decoded).unwrap_or_default();
        let disclosed = event.disclosures.iter().filter_map(|text| decoded::<[String; 3]>(text));
        let disclosed = disclosed.map(|[_, name, text]| (name, text)).collect();
        Self { index: event.index, claims, disclosed }
    }
}

fn decoded<T: for<'d> Deserialize<'d>>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// `/console/tenants/{tenant}/events`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let events: Events = api.get(&here.filtered(at(&tenant)).with("limit", "50")).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Events, "Events").await?;
    let lines: Vec<_> = events.events.iter().map(Line::of).collect();
    let table = Table::of("", &lines, &frame.base).going_on(here.up_to(events.next));
    Sheet::new(frame).filter(filter(&here)).table(table).page()
}

/// `/console/tenants/{tenant}/events.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Events>(api, at(&tenant), &here, "events").await
}

fn at(tenant: &str) -> At {
    At::tenant(tenant, &["events"]).with("newest_first", "true")
}

fn filter(here: &Here) -> Filter {
    Filter::new()
        .text(here, "evt", "What, such as restore.*")
        .text(here, "out", "Outcome")
        .text(here, "cor", "Restore, record or job")
        .text(here, "kek", "KEK")
        .text(here, "prov", "Provider")
        .moment(here, "since", "From (UTC)")
        .moment(here, "until", "To (UTC)")
}

impl Part for Events {
    type Item = Line;

    fn split(self) -> (Vec<Line>, Option<(&'static str, String)>) {
        (self.events.iter().map(Line::of).collect(), self.next.map(|to| ("to", to.to_string())))
    }
}

/// `/console/tenants/{tenant}/events/{index}`
pub(super) async fn show(api: Api, Path((tenant, index)): Path<(String, String)>) -> Answer {
    let ProvenEvent { event, proof } = api.get(&At::tenant(&tenant, &["events", &index])).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Events, &format!("Event {}", event.index)).await?;
    let line = Line::of(&event);
    let facts: Vec<_> = Line::COLUMNS.iter().copied().zip(line.cells(&frame.base)).collect();
    let kek = line.claims.kek.map(|kek| ("KEK", Cell::Code(kek.id)));
    let withheld = event.erased.map(|by| ("Erased by", Cell::Code(by.to_string())));
    let (log, index) = (At::tenant(&tenant, &[]).path().to_owned(), event.index);
    let raw = [("Leaf", Cell::Code(event.leaf)), ("Proof", Cell::Code(proof))];
    Sheet::new(frame).facts(facts).facts(kek).facts(withheld).check(log, index).facts(raw).page()
}

impl Row for Line {
    const COLUMNS: &'static [&'static str] = &["Event", "Time", "What", "Outcome", "Belongs to", "Provider", "Details"];
    const EMPTY: &'static str = "No event among those that were looked at is like this. Go on, or ask for less.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        let details: Vec<_> = self.disclosed.iter().map(|(name, text)| format!("{name}: {text}")).collect();
        vec![
            Cell::link(base, "events", &self.index),
            Cell::Time(self.claims.iat.saturating_mul(1_000)),
            Cell::Text(self.claims.evt.clone()),
            Cell::State(self.claims.out.clone()),
            Cell::or_nothing(self.claims.cor.clone(), Cell::Code),
            Cell::or_nothing(self.claims.prov.clone(), Cell::Text),
            Cell::Text(details.join("; ")),
        ]
    }
}
