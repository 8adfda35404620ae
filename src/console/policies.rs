//! A tenant's policies.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::diff;
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::refusal::Refusal;
use super::sheet::{Editor, Sheet};
use super::table::Table;
use crate::api::{Page, PolicyInForce, PolicyLibrary, PolicyVersion, ReadyPolicies};
use axum::extract::Path;
use policies::admin::Act;
use serde_json::json;

/// `/console/tenants/{tenant}/policies`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let frame = Frame::tenant(&api, &tenant, Section::Policies, "Policies").await?;
    let in_force: PolicyInForce = api.get(&at(&tenant, "in-force")).await?;
    let library: PolicyLibrary = api.get(&at(&tenant, "library")).await?;
    let versions = Table::read::<PolicyVersion>(&api, At::tenant(&tenant, &["policies"]), (&here, &frame.base)).await?;
    let ready = Table::of("Ready policies, to begin with", &library.items, &frame.base);
    let editor = format!("{}/policies/editor", frame.base);
    let facts = [
        ("In force", version(in_force.version, &frame.base)),
        ("Digest in events", Cell::Code(in_force.digest)),
        ("Write", Cell::Link { text: "begin with what is in force".into(), href: editor }),
    ];
    let sheet = Sheet::new(frame).facts(facts).table(versions).table(ready);
    sheet.forms(in_force.version.map(|_| roll_back(&tenant))).page()
}

/// `/console/tenants/{tenant}/policies.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<PolicyVersion>>(api, At::tenant(&tenant, &["policies"]), &here, "policies").await
}

/// `/console/tenants/{tenant}/policies/{version}`
pub(super) async fn show(api: Api, Path((tenant, number)): Path<(String, String)>) -> Answer {
    let found: PolicyVersion = api.get(&at(&tenant, &number)).await?;
    let frame =
        Frame::tenant(&api, &tenant, Section::Policies, &format!("Policies, version {}", found.version)).await?;
    let in_force: PolicyInForce = api.get(&at(&tenant, "in-force")).await?;
    let text = found.text.clone().unwrap_or_default();
    let facts: Vec<_> = PolicyVersion::COLUMNS.iter().copied().zip(found.cells(&frame.base)).skip(1).collect();
    let editor = format!("{}/policies/editor?version={}", frame.base, found.version);
    let more = [
        ("Takes the place of", version(found.replaces, &frame.base)),
        ("Digest in events", Cell::Code(found.digest.clone())),
        ("Check it, try it on the past, change it", Cell::Link { text: "in the editor".into(), href: editor }),
    ];
    let changes = diff::changes(&in_force.text, &text);
    let sheet = Sheet::new(frame).facts(facts).facts(more).changes("Against what is in force", &changes);
    sheet.forms(steps(&tenant, &found)).page()
}

/// `/console/tenants/{tenant}/policies/editor`
pub(super) async fn editor(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let text = beginning(&api, &tenant, &here).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Policies, "Write policies").await?;
    let in_force: PolicyInForce = api.get(&at(&tenant, "in-force")).await?;
    let path = At::tenant(&tenant, &["policies"]).path().to_owned();
    let always = diff::changes(&in_force.always, &in_force.always);
    Sheet::new(frame).editor(Editor { path, text }).changes("Always part of it", &always).page()
}

/// What the editor begins with: a version, or what is in force, with a ready text behind it where one is asked for.
async fn beginning(api: &Api, tenant: &str, here: &Here) -> Result<String, Refusal> {
    match (here.value("version"), here.value("library")) {
        ("", "") => Ok(api.get::<PolicyInForce>(&at(tenant, "in-force")).await?.text),
        ("", name) => {
            let PolicyLibrary { items } = api.get(&at(tenant, "library")).await?;
            let ready = items.into_iter().find(|ready| ready.name == name);
            let ready = ready.ok_or_else(Refusal::not_found)?.text;
            let PolicyInForce { text, .. } = api.get(&at(tenant, "in-force")).await?;
            Ok(format!("{}\n\n{ready}", text.trim_end()))
        }
        (number, _) => Ok(api.get::<PolicyVersion>(&at(tenant, number)).await?.text.unwrap_or_default()),
    }
}

fn at(tenant: &str, part: &str) -> At {
    At::tenant(tenant, &["policies", part])
}

fn version(number: Option<u64>, base: &str) -> Cell {
    number.map_or(Cell::Text("the defaults".into()), |number| Cell::link(base, "policies", &number))
}

/// What can become of a version, and who can do it.
fn steps(tenant: &str, found: &PolicyVersion) -> Vec<Form> {
    let at = |step: &str| At::tenant(tenant, &["policies", &found.version.to_string(), step]);
    let seen = || [Field::fixed("digest", json!(found.digest))];
    let propose = || Form::plain(Act::PoliciesPropose, "Propose this version", &at("propose"), seen());
    let activate = || Form::plain(Act::PoliciesActivate, "Put this version in force", &at("activate"), seen());
    let withdraw = || Form::plain(Act::PoliciesPropose, "Withdraw this version", &at("withdraw"), []);
    match found.state.as_str() {
        "draft" => vec![propose(), withdraw()],
        "proposed" => vec![activate(), withdraw()],
        "scheduled" => vec![withdraw()],
        _ => Vec::new(),
    }
}

fn roll_back(tenant: &str) -> Form {
    Form::plain(Act::PoliciesActivate, "Roll back", &at(tenant, "roll-back"), [])
        .warning("The version in force gives way to the one before it.")
}

impl Row for PolicyVersion {
    const COLUMNS: &'static [&'static str] =
        &["Version", "State", "Note", "Written by", "Proposed by", "Agreed by", "In force from", "Written"];
    const EMPTY: &'static str =
        "The defaults are in force. Write a version, propose it, and have somebody else put it in force.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::link(base, "policies", &self.version),
            Cell::State(self.state.clone()),
            Cell::Text(self.note.clone()),
            Cell::Text(self.made_by.clone()),
            Cell::or_nothing(self.proposed_by.clone(), Cell::Text),
            Cell::or_nothing(self.activated_by.clone(), Cell::Text),
            Cell::or_nothing(self.effective_at, Cell::Time),
            Cell::Time(self.created_at),
        ]
    }
}

impl Row for ReadyPolicies {
    const COLUMNS: &'static [&'static str] = &["Ready policies", "What they are good for"];
    const EMPTY: &'static str = "There are none.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        let href = format!("{base}/policies/editor?library={}", self.name);
        vec![Cell::Link { text: self.name.clone(), href }, Cell::Text(self.description.clone())]
    }
}
