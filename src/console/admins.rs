//! Who administers.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Admin, Page, Sessions};
use axum::extract::Path;
use policies::admin::{Act, Role};

/// `/console/tenants/{tenant}/admins`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let at = At::tenant(&tenant, &["admins"]);
    let frame = Frame::tenant(&api, &tenant, Section::Admins, "Administrators").await?;
    let table = Table::read::<Admin>(&api, at.clone(), (&here, &frame.base)).await?;
    let fields = [
        Field::text("name", "Name: a-z, 0-9, dot, hyphen, underscore"),
        Field::optional("email", "E-mail for notices"),
        roles(&[]),
        Field::optional("user", "Their own account among the people here: they never approve for it"),
    ];
    let appoint = Form::plain(Act::AdminsWrite, "Appoint an administrator", &at, fields);
    Sheet::new(frame).table(table).form(appoint).page()
}

/// `/console/tenants/{tenant}/admins.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Admin>>(api, At::tenant(&tenant, &["admins"]), &here, "administrators").await
}

/// `/console/tenants/{tenant}/admins/{admin}`
pub(super) async fn show(api: Api, Path((tenant, id)): Path<(String, String)>) -> Answer {
    let of = |parts: &[&str]| At::tenant(&tenant, &[&["admins", &*id], parts].concat());
    let admin: Admin = api.get(&of(&[])).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Admins, &admin.name).await?;
    let sessions: Option<Sessions> = api.find(&of(&["sessions"])).await?;
    let sessions = sessions.map(|sessions| Table::of("Sessions", &sessions.items, ""));
    let passkeys = Table::of("Passkeys", &admin.passkeys, "");
    let facts: Vec<_> = Admin::COLUMNS.iter().copied().zip(admin.cells(&frame.base)).skip(1).collect();
    let sheet = Sheet::new(frame).facts(facts).table(passkeys).table(sessions);
    if admin.state == "revoked" { sheet.page() } else { sheet.forms(forms(&admin, of)).page() }
}

fn forms(admin: &Admin, of: impl Fn(&[&str]) -> At) -> [Form; 4] {
    let write = |title, act: &str, fields: Vec<Field>| Form::plain(Act::AdminsWrite, title, &of(&[act]), fields);
    [
        write("Give other roles", "roles", vec![roles(&admin.roles)]),
        Form::plain(Act::SessionsEnd, "Sign out everywhere", &of(&["sessions", "end"]), []),
        write("Invite again", "invite", vec![])
            .warning("All passkeys of this person are lost, and their sessions end. They make a new one by the link."),
        write("Revoke this administrator", "revoke", vec![])
            .warning("This person never acts here again; what they approved and is not released yet does not count."),
    ]
}

fn roles(given: &[String]) -> Field {
    let words = Role::ALL.map(|role| (role.as_str().to_owned(), given.iter().any(|word| word == role.as_str())));
    Field::some("roles", "Roles", words.into())
}

impl Row for Admin {
    const COLUMNS: &'static [&'static str] =
        &["Administrator", "State", "Roles", "Told at", "Own account", "Passkeys", "Appointed"];
    const EMPTY: &'static str =
        "Nobody administers this tenant alone. Those of the tenant `installation` administer all of them.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        let href = format!("{base}/admins/{}", self.id);
        vec![
            Cell::Link { text: self.name.clone(), href },
            Cell::State(self.state.clone()),
            Cell::Text(self.roles.join(", ")),
            Cell::or_nothing(self.email.clone(), Cell::Text),
            Cell::or_nothing(self.user.as_ref(), |user| Cell::link(base, "people", user)),
            Cell::Count(self.passkeys.len() as u64),
            Cell::Time(self.created_at),
        ]
    }
}
