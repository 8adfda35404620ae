//! A tenant's users.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::locks;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Device, Page, Record, Restore, User};
use axum::extract::Path;
use policies::admin::Act;
use serde_json::json;

/// `/console/tenants/{tenant}/people`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let at = At::tenant(&tenant, &["users"]);
    let fields = [Field::text("id", "As the tenant names the person"), Field::optional("email", "E-mail for notices")];
    let add = Form::plain(Act::UsersWrite, "Add a person", &at, fields);
    let frame = Frame::tenant(&api, &tenant, Section::People, "People").await?;
    let table = Table::read::<User>(&api, at, (&here, &frame.base)).await?;
    Sheet::new(frame).table(table).form(add).page()
}

/// `/console/tenants/{tenant}/people.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<User>>(api, At::tenant(&tenant, &["users"]), &here, "people").await
}

/// `/console/tenants/{tenant}/people/{user}`
pub(super) async fn show(api: Api, Path((tenant, user)): Path<(String, String)>) -> Answer {
    let found: User = api.get(&At::tenant(&tenant, &["users", &user])).await?;
    let frame = Frame::tenant(&api, &tenant, Section::People, &found.id).await?;
    let of = |list: &str| At::tenant(&tenant, &[list]).with("user", &user);
    let devices = Table::first::<Device>(&api, of("devices"), ("Devices", &frame.base)).await?;
    let records = Table::first::<Record>(&api, of("records"), ("Records", &frame.base)).await?;
    let newest = of("restores").with("newest_first", "true");
    let restores = Table::first::<Restore>(&api, newest, ("Restores, the newest first", &frame.base)).await?;
    let (devices_lost, records_lost) = (amount(devices.as_ref()), amount(records.as_ref()));
    let lost = format!(
        "{devices_lost} devices are not served again, {records_lost} records cannot be restored, and open restores end. This cannot be undone."
    );
    let locks = locks::of(&api, &tenant, &user).await?;
    let forms = forms(&tenant, &found, lost);
    let sheet = Sheet::new(frame).facts(facts(found)).note(locks::note(&locks));
    let sheet = sheet.table(devices).table(records).table(restores).form(locks::turn(&tenant, &user, &locks));
    sheet.forms(forms).page()
}

fn facts(user: User) -> [(&'static str, Cell); 6] {
    [
        ("State", Cell::State(user.state)),
        ("Told at", Cell::or_nothing(user.email, Cell::Text)),
        ("Reports to", Cell::Text(user.managers.join(", "))),
        ("Time zone", Cell::Text(user.time_zone.unwrap_or_else(|| "UTC".into()))),
        ("Subject at the company's login", Cell::or_nothing(user.subject, Cell::Text)),
        ("Added", Cell::Time(user.created_at)),
    ]
}

/// How many things a table shows, which is not all where there are many.
fn amount(table: Option<&Table>) -> String {
    match table.map_or(0, |table| table.rows.len()) {
        20.. => "20 or more".into(),
        few => few.to_string(),
    }
}

fn forms(tenant: &str, user: &User, lost: String) -> [Form; 7] {
    let id = &*user.id;
    let target = Field::fixed("target", json!({"kind": "user", "id": id}));
    let write =
        |title, part, field| Form::plain(Act::UsersWrite, title, &At::tenant(tenant, &["users", id, part]), [field]);
    [
        Form::plain(
            Act::CodesWrite,
            "Make an enrolment code",
            &At::tenant(tenant, &["enrolment-codes"]),
            [Field::fixed("user", json!(id))],
        ),
        write(
            "Change where the person is told",
            "email",
            Field::optional("email", "E-mail; nobody is told where it is empty"),
        ),
        write(
            "Change who the person reports to",
            "managers",
            Field::words("managers", "People directly above, as the tenant names them", &user.managers),
        ),
        write(
            "Change the person's time zone",
            "time-zone",
            Field::optional("time_zone", "For example Europe/Berlin; UTC where it is empty"),
        ),
        write(
            "Change who the person is at the company's login",
            "subject",
            Field::optional("subject", "Subject at the issuer; no login counts where it is empty"),
        ),
        Form::plain(
            Act::AccessRevoke,
            "Revoke this person",
            &At::tenant(tenant, &["revocations"]),
            [target, Field::reason()],
        )
        .warning(lost),
        Form::plain(
            Act::SubjectsErase,
            "Erase this person from the log",
            &At::tenant(tenant, &["users", id, "erase"]),
            [],
        )
        .warning("Only after revocation. Nobody can read any more what the log withholds about them. The proofs stay."),
    ]
}

impl Row for User {
    const COLUMNS: &'static [&'static str] = &["Person", "State", "Told at", "Added"];
    const EMPTY: &'static str = "Nobody is known here yet. Add a person; then make an enrolment code for their device.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::link(base, "people", &self.id),
            Cell::State(self.state.clone()),
            Cell::or_nothing(self.email.clone(), Cell::Text),
            Cell::Time(self.created_at),
        ]
    }
}
