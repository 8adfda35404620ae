//! A tenant's records: what is known of them, never what is in them.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::filter::Filter;
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Page, Record};
use axum::extract::Path;

/// `/console/tenants/{tenant}/records`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let frame = Frame::tenant(&api, &tenant, Section::Records, "Records").await?;
    let table = Table::read::<Record>(&api, At::tenant(&tenant, &["records"]), (&here, &frame.base)).await?;
    let filter = Filter::new().text(&here, "user", "Person");
    Sheet::new(frame).filter(filter).table(table).page()
}

/// `/console/tenants/{tenant}/records.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Record>>(api, At::tenant(&tenant, &["records"]), &here, "records").await
}

/// `/console/tenants/{tenant}/records/{record}`
pub(super) async fn show(api: Api, Path((tenant, record)): Path<(String, String)>) -> Answer {
    let found: Record = api.get(&At::tenant(&tenant, &["records", &record])).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Records, "A record").await?;
    let note = found.keks.is_empty().then(|| "Nothing opens this record any more: its KEK was destroyed.".to_owned());
    let facts: Vec<_> = Record::COLUMNS.iter().copied().zip(found.cells(&frame.base)).collect();
    let keks =
        found.keks.iter().map(|kek| ("Under the KEK", Cell::link(&frame.base, "keks", &kek))).collect::<Vec<_>>();
    Sheet::new(frame).note(note).facts(facts).facts(keks).page()
}

impl Row for Record {
    const COLUMNS: &'static [&'static str] =
        &["Record", "Person", "Kind", "Generation", "Backed up by", "KEKs", "Wrapped"];
    const EMPTY: &'static str = "Nothing is backed up. Devices do it by themselves once they are enrolled.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::link(base, "records", &self.id),
            Cell::link(base, "people", &self.user),
            Cell::Text(self.kind.clone()),
            Cell::Count(self.generation),
            Cell::link(base, "devices", &self.device),
            Cell::Count(self.keks.len() as u64),
            Cell::Time(self.created_at),
        ]
    }
}
