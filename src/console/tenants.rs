//! The tenants.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section, base};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Page, Tenant};
use axum::response::{IntoResponse, Redirect};
use policies::admin::Act;

/// `/console`
pub(super) async fn list(api: Api, here: Here) -> Answer {
    let at = At::admin(&["tenants"]);
    let make = Form::plain(
        Act::TenantsWrite,
        "Make a tenant",
        &at,
        [
            Field::text("id", "Id"),
            Field::text("name", "Name, for people"),
            Field::optional_number(
                "unattested_days",
                "Days after enrolment in which a device without attestation may restore; empty for never",
            ),
        ],
    );
    let frame = Frame::whole(&api, Section::Tenants, "Tenants").await?;
    if let Some(tenant) = frame.home() {
        return Ok(Redirect::to(&base(tenant)).into_response());
    }
    let table = Table::read::<Tenant>(&api, at, (&here, &frame.base)).await?;
    Sheet::new(frame).table(table).form(make).page()
}

/// `/console/tenants.csv`
pub(super) async fn csv(api: Api, here: Here) -> Answer {
    csv::export::<Page<Tenant>>(api, At::admin(&["tenants"]), &here, "tenants").await
}

impl Row for Tenant {
    const COLUMNS: &'static [&'static str] = &["Tenant", "Name", "State", "KEK", "Made", "Verifier key of its log"];
    const EMPTY: &'static str =
        "There is no tenant yet. Make one below, register a KEK for it, then hand out enrolment codes.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        let base = base(&self.id);
        vec![
            Cell::Link { text: self.id.clone(), href: base.clone() },
            Cell::Text(self.name.clone()),
            Cell::State(self.state.clone()),
            Cell::or_nothing(self.kek, |kek| Cell::link(&base, "keks", &kek)),
            Cell::Time(self.created_at),
            Cell::Code(self.vkey.clone()),
        ]
    }
}
