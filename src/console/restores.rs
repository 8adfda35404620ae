//! A tenant's restores.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::decisions;
use super::devices::attestation;
use super::events::Line;
use super::filter::Filter;
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::locks;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Approvals, Device, Events, Page, Restore};
use axum::extract::Path;
use policies::admin::Act;
use serde_json::json;

/// How far a restore can be.
const STATES: &[&str] = &[
    "pending",
    "approved",
    "releasing",
    "released",
    "acknowledged",
    "failed",
    "expired",
    "revoked",
    "vetoed",
    "rejected",
];

/// `/console/tenants/{tenant}/restores`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let frame = Frame::tenant(&api, &tenant, Section::Restores, "Restores").await?;
    let table = Table::read::<Restore>(&api, at(&tenant), (&here, &frame.base)).await?;
    let filter = Filter::new().word(&here, ("state", "State"), STATES);
    let filter = filter.text(&here, "user", "Person").text(&here, "device", "Device");
    Sheet::new(frame).filter(filter).table(table).page()
}

/// `/console/tenants/{tenant}/restores.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Restore>>(api, at(&tenant), &here, "restores").await
}

/// The newest first: what waits is there.
fn at(tenant: &str) -> At {
    At::tenant(tenant, &["restores"]).with("newest_first", "true")
}

/// `/console/tenants/{tenant}/restores/{restore}`
pub(super) async fn show(api: Api, Path((tenant, restore)): Path<(String, String)>) -> Answer {
    let found: Restore = api.get(&At::tenant(&tenant, &["restores", &restore])).await?;
    let device: Option<Device> = api.find(&At::tenant(&tenant, &["devices", &found.device.to_string()])).await?;
    let approvals: Option<Approvals> = api.find(&At::tenant(&tenant, &["restores", &restore, "approvals"])).await?;
    let events: Option<Events> = api.find(&At::tenant(&tenant, &["events"]).with("cor", &restore)).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Restores, "A restore").await?;
    let lines = |events: Events| events.events.iter().map(Line::of).collect::<Vec<_>>();
    let timeline = events.map(|events| Table::of("What happened", &lines(events), &frame.base));
    let mut facts = facts(&found, device.as_ref(), &frame.base);
    facts.extend(
        approvals.iter().map(|approvals| ("Last login, as proven", Cell::or_nothing(approvals.login_at, Cell::Time))),
    );
    let base = frame.base.clone();
    let open = matches!(found.state.as_str(), "pending" | "approved" | "releasing");
    let locks = if open { locks::of(&api, &tenant, &found.user).await? } else { Vec::new() };
    let sheet = Sheet::new(frame).facts(facts).note(locks::note(&locks));
    let sheet = approvals.iter().fold(sheet, |sheet, approvals| decisions::on(sheet, &tenant, approvals, &base));
    let sheet = sheet.table(timeline);
    sheet.forms(open.then(|| revoke(&tenant, &found))).page()
}

fn facts(restore: &Restore, device: Option<&Device>, base: &str) -> Vec<(&'static str, Cell)> {
    let mut facts = vec![
        ("State", Cell::State(restore.state.clone())),
        ("Person", Cell::link(base, "people", &restore.user)),
        ("Device", Cell::link(base, "devices", &restore.device)),
        ("The device's name, in its words", Cell::or_nothing(device, |device| Cell::Text(device.name.clone()))),
        ("The device's key", Cell::or_nothing(device, attestation)),
        ("Reason, in the device's words", Cell::Text(restore.reason.clone())),
        ("Not released before", Cell::Time(restore.not_before)),
        ("Runs out", Cell::Time(restore.expires_at)),
    ];
    facts.extend(restore.records.iter().map(|record| ("Record", Cell::link(base, "records", &record))));
    facts
}

fn revoke(tenant: &str, restore: &Restore) -> Form {
    Form::plain(
        Act::AccessRevoke,
        "Revoke this restore",
        &At::tenant(tenant, &["revocations"]),
        [Field::fixed("target", json!({"kind": "restore", "id": restore.id})), Field::reason()],
    )
    .warning("No key goes out by it, unless it was released before. The device may ask again.")
}

impl Row for Restore {
    const COLUMNS: &'static [&'static str] =
        &["Restore", "State", "Person", "Device", "Records", "Reason", "Runs out", "Changed"];
    const EMPTY: &'static str = "No restore is like this. When a device asks for keys, it is listed here.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::link(base, "restores", &self.id),
            Cell::State(self.state.clone()),
            Cell::link(base, "people", &self.user),
            Cell::link(base, "devices", &self.device),
            Cell::Count(self.records.len() as u64),
            Cell::Text(self.reason.clone()),
            Cell::Time(self.expires_at),
            Cell::Time(self.changed_at),
        ]
    }
}
