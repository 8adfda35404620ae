//! Rewraps of a tenant's records.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::Row;
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::sheet::Sheet;
use crate::api::Rewrap;
use axum::extract::Path;
use policies::admin::Act;
use serde_json::json;

/// `/console/tenants/{tenant}/rewraps/{rewrap}`
pub(super) async fn show(api: Api, Path((tenant, rewrap)): Path<(String, String)>) -> Answer {
    let at = At::tenant(&tenant, &["rewraps", &rewrap]);
    let found: Rewrap = api.get(&at).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Keks, "A rewrap").await?;
    let facts: Vec<_> = Rewrap::COLUMNS.iter().copied().zip(found.cells(&frame.base)).collect();
    let step = |title, step: &str| Form::plain(Act::RewrapsWrite, title, &at, [Field::fixed("step", json!(step))]);
    let steps = match found.state.as_str() {
        "running" => vec![step("Pause", "pause"), step("Give up", "stop")],
        "paused" => vec![step("Go on", "resume"), step("Give up", "stop")],
        _ => Vec::new(),
    };
    let sheet = Sheet::new(frame).facts(facts).facts([
        ("Records that are left", Cell::or_nothing(found.remaining, Cell::Count)),
        ("Seconds that are left", Cell::or_nothing(found.eta_seconds, Cell::Count)),
    ]);
    sheet.forms(steps).page()
}

impl Row for Rewrap {
    const COLUMNS: &'static [&'static str] = &["Rewrap", "State", "Why it waits", "Records", "Began", "Changed"];
    const EMPTY: &'static str = "None yet. After a rotation, a rewrap brings the records to the newest version.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::link(base, "rewraps", &self.id),
            Cell::State(self.state.clone()),
            Cell::Text(self.reason.clone()),
            Cell::Count(self.total),
            Cell::Time(self.started_at),
            Cell::Time(self.changed_at),
        ]
    }
}
