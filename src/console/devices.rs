//! A tenant's devices.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::filter::Filter;
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Device, Page, Restore};
use axum::extract::Path;
use policies::admin::Act;
use serde_json::json;

/// `/console/tenants/{tenant}/devices`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let frame = Frame::tenant(&api, &tenant, Section::Devices, "Devices").await?;
    let table = Table::read::<Device>(&api, At::tenant(&tenant, &["devices"]), (&here, &frame.base)).await?;
    let filter = Filter::new().text(&here, "user", "Person");
    Sheet::new(frame).filter(filter).table(table).page()
}

/// `/console/tenants/{tenant}/devices.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Device>>(api, At::tenant(&tenant, &["devices"]), &here, "devices").await
}

/// `/console/tenants/{tenant}/devices/{device}`
pub(super) async fn show(api: Api, Path((tenant, device)): Path<(String, String)>) -> Answer {
    let found: Device = api.get(&At::tenant(&tenant, &["devices", &device])).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Devices, &found.name).await?;
    let newest = At::tenant(&tenant, &["restores"]).with("device", &device).with("newest_first", "true");
    let restores = Table::first::<Restore>(&api, newest, ("Restores, the newest first", &frame.base)).await?;
    let revoke = Form::plain(
        Act::AccessRevoke,
        "Revoke this device",
        &At::tenant(&tenant, &["revocations"]),
        [Field::fixed("target", json!({"kind": "device", "id": found.id})), Field::reason()],
    )
    .warning("It is not served again, and its open restores end. This cannot be undone.");
    let facts = facts(&found, &frame.base);
    Sheet::new(frame).facts(facts).table(restores).form(revoke).page()
}

fn facts(device: &Device, base: &str) -> [(&'static str, Cell); 6] {
    [
        ("Person", Cell::link(base, "people", &device.user)),
        ("State", Cell::State(device.state.clone())),
        ("Platform, in its words", Cell::Text(device.platform.clone())),
        ("Key", attestation(device)),
        ("Enrolled", Cell::Time(device.enrolled_at)),
        ("Id", Cell::Code(device.id.to_string())),
    ]
}

/// How well it is known where the device's key lives.
pub(super) fn attestation(device: &Device) -> Cell {
    Cell::Text(if device.attested { "proven to be in hardware" } else { "not attested" }.into())
}

impl Row for Device {
    const COLUMNS: &'static [&'static str] = &["Device", "Name", "Platform", "Person", "State", "Key", "Enrolled"];
    const EMPTY: &'static str = "No device is enrolled. Make an enrolment code on a person's page.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::link(base, "devices", &self.id),
            Cell::Text(self.name.clone()),
            Cell::Text(self.platform.clone()),
            Cell::link(base, "people", &self.user),
            Cell::State(self.state.clone()),
            attestation(self),
            Cell::Time(self.enrolled_at),
        ]
    }
}
