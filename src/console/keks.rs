//! A tenant's KEKs.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Destruction, Kek, KekDetails, KekHealth, KekHoldings, Page, Rewrap};
use axum::extract::Path;
use policies::admin::Act;
use serde_json::json;

/// `/console/tenants/{tenant}/keks`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let of = |list: &str| At::tenant(&tenant, &[list]);
    let frame = Frame::tenant(&api, &tenant, Section::Keks, "KEKs").await?;
    let Page { items: all, next }: Page<Kek> = api.get(&here.part_of(of("keks"))).await?;
    let keks = Table::of("", &all, &frame.base).going_on(here.links(next.as_deref()));
    let rewraps = Table::first::<Rewrap>(&api, of("rewraps"), ("Rewraps", &frame.base)).await?;
    let orders: Page<Destruction> = api.get(&of("destructions")).await?;
    let fields = [
        Field::text("provider", "Provider, as the configuration names it"),
        Field::text("key", "Key, as the provider calls it"),
    ];
    let register = Form::plain(Act::KeksWrite, "Register a KEK", &of("keks"), fields);
    let rewrap =
        Form::plain(Act::RewrapsWrite, "Rewrap all records that are not under the newest key", &of("rewraps"), []);
    let drill = Form::plain(
        Act::DrillsRun,
        "Try a sample of records",
        &of("drills"),
        [Field::number("sample", "Records, at most 1000")],
    );
    let open = orders.items.iter().filter(|order| order.state == "requested");
    let decide = open.flat_map(|order| [confirm(&tenant, order), cancel(&tenant, order)]);
    let orders = Table::of("Orders to destroy", &orders.items, &frame.base);
    let sheet = Sheet::new(frame).table(keks).table(rewraps).table(orders);
    sheet.form(register).form(protect(&tenant, &all)).form(rewrap).form(drill).forms(decide).page()
}

fn confirm(tenant: &str, order: &Destruction) -> Form {
    let at = At::tenant(tenant, &["destructions", &order.id.to_string(), "confirm"]);
    let Destruction { kek, lost, kept, .. } = order;
    Form::plain(Act::KeksDestroy, "Confirm a destruction", &at, [Field::fixed("records", json!(lost))]).warning(format!(
        "{lost} records under the KEK {kek} are lost for ever; {kept} others are still opened by another KEK. Nothing undoes this."
    ))
}

fn cancel(tenant: &str, order: &Destruction) -> Form {
    let at = At::tenant(tenant, &["destructions", &order.id.to_string(), "cancel"]);
    Form::plain(Act::KeksDestroy, "Cancel a destruction", &at, [])
}

/// Which KEKs wrap what comes.
fn protect(tenant: &str, keks: &[Kek]) -> Form {
    let active = keks.iter().filter(|kek| kek.state == "active");
    let choices: Vec<_> = active.map(|kek| (kek.id.to_string(), format!("{} {}", kek.provider, kek.key))).collect();
    let none = [(String::new(), "none".to_owned())];
    let others: Vec<_> = none.into_iter().chain(choices.iter().cloned()).collect();
    let fields = [
        Field::choice("kek", "KEK", choices),
        Field::choice("second_kek", "Another that is needed beside it", others.clone()),
        Field::choice("standby_kek", "Another that opens where the first cannot", others),
    ];
    Form::plain(Act::KeksWrite, "Choose which KEKs wrap from now on", &At::tenant(tenant, &["protection"]), fields)
}

/// `/console/tenants/{tenant}/keks.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Kek>>(api, At::tenant(&tenant, &["keks"]), &here, "keks").await
}

/// `/console/tenants/{tenant}/keks/{kek}`
pub(super) async fn show(api: Api, Path((tenant, kek)): Path<(String, String)>) -> Answer {
    let found: KekDetails = api.get(&At::tenant(&tenant, &["keks", &kek])).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Keks, "A KEK").await?;
    let facts: Vec<_> = Kek::COLUMNS.iter().copied().zip(found.kek.cells(&frame.base)).collect();
    let reason = found.kek.health.as_ref().and_then(|health| health.reason.clone());
    let holdings = Table::of("What lies under it", &found.holdings, &frame.base);
    let stale = ("Records under an older version", Cell::Count(found.stale));
    let sheet = Sheet::new(frame).note(reason).facts(facts).facts([stale]).table(holdings);
    let under = found.holdings.iter().map(|holding| holding.records).sum();
    sheet.forms(forms(&tenant, &kek, under)).page()
}

fn forms(tenant: &str, kek: &str, under: u64) -> [Form; 4] {
    let at = |act: &str| At::tenant(tenant, &["keks", kek, act]);
    [
        Form::plain(
            Act::KeksWrite,
            "Take the newest version into use",
            &at("rotate"),
            [Field::fixed("force", json!(false))],
        ),
        Form::plain(Act::KeksWrite, "Disable this KEK", &at("disable"), [Field::reason()])
            .warning(format!("{under} records cannot be restored under it until it is enabled again, and none is wrapped.")),
        Form::plain(Act::KeksWrite, "Enable this KEK", &at("enable"), [Field::reason()]),
        Form::plain(Act::KeksDestroy, "Order its destruction", &at("destructions"), [Field::reason()])
            .warning(format!(
                "{under} records lie under it. Once another administrator confirms it, those that nothing else opens are lost for ever."
            )),
    ]
}

impl Row for Kek {
    const COLUMNS: &'static [&'static str] = &["KEK", "Provider", "Key", "Version", "State", "Canary", "Registered"];
    const EMPTY: &'static str = "No KEK is registered, so nothing can be backed up. Register one below.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        let canary = |health: &KekHealth| Cell::State(health.state.clone());
        vec![
            Cell::link(base, "keks", &self.id),
            Cell::Text(self.provider.clone()),
            Cell::Code(self.key.clone()),
            Cell::Count(self.version),
            Cell::State(self.state.clone()),
            Cell::or_nothing(self.health.as_ref(), canary),
            Cell::Time(self.created_at),
        ]
    }
}

impl Row for KekHoldings {
    const COLUMNS: &'static [&'static str] = &["Part of the record", "Version", "Records"];
    const EMPTY: &'static str = "No record is under this KEK.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        vec![Cell::Text(self.slot.clone()), Cell::Count(self.version), Cell::Count(self.records)]
    }
}

impl Row for Destruction {
    const COLUMNS: &'static [&'static str] =
        &["Order", "KEK", "State", "Reason", "Asked by", "Records lost", "Records kept", "Runs out"];
    const EMPTY: &'static str = "None. An order begins on the page of a KEK.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::Code(self.id.to_string()),
            Cell::link(base, "keks", &self.kek),
            Cell::State(self.state.clone()),
            Cell::Text(self.reason.clone()),
            Cell::Text(self.requested_by.clone()),
            Cell::Count(self.lost),
            Cell::Count(self.kept),
            Cell::Time(self.expires_at),
        ]
    }
}
