//! What is one's own: passkeys and sessions.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::Row;
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Passkey, Session, Sessions, SignedIn};

/// `/console/account`
pub(super) async fn show(api: Api) -> Answer {
    let SignedIn { admin, .. } = api.get(&At::admin(&["session"])).await?;
    let sessions: Sessions = api.get(&At::admin(&["sessions"])).await?;
    let frame = Frame::whole(&api, Section::Account, &admin.name).await?;
    let facts = [
        ("Administers", Cell::Text(admin.tenant)),
        ("Roles", Cell::Text(admin.roles.join(", "))),
        ("Told at", Cell::or_nothing(admin.email, Cell::Text)),
        ("Own account", Cell::or_nothing(admin.user, Cell::Text)),
    ];
    Sheet::new(frame)
        .facts(facts)
        .table(Table::of("Passkeys", &admin.passkeys, ""))
        .table(Table::of("Sessions", &sessions.items, ""))
        .form(Form::own("Make another passkey", &At::admin(&["passkeys"]), [passkey_name()]).by("passkey"))
        .forms(remove(&admin.passkeys))
        .forms(end(&sessions.items))
        .page()
}

fn passkey_name() -> Field {
    Field::text("name", "Its name: a-z, 0-9, dot, hyphen, underscore")
}

/// The last passkey cannot be removed: nobody could sign in any more.
fn remove(passkeys: &[Passkey]) -> Option<Form> {
    let choices: Vec<_> = passkeys.iter().map(|passkey| (passkey.id.clone(), called(passkey))).collect();
    let form = Form::own(
        "Remove a passkey",
        &At::admin(&["passkeys", "{passkey}", "remove"]),
        [Field::which("passkey", "Passkey", choices)],
    );
    (passkeys.len() > 1).then(|| form.warning("It signs nothing any more. The others stay."))
}

/// The first has no name until its owner gives it one.
fn called(passkey: &Passkey) -> String {
    let name = if passkey.name.is_empty() { "without a name" } else { &passkey.name };
    let begin: String = passkey.id.chars().take(8).collect();
    format!("{name} ({begin})")
}

fn end(sessions: &[Session]) -> Option<Form> {
    let others = sessions.iter().filter(|session| !session.current);
    let choices: Vec<_> = others.map(|session| (session.id.to_string(), named(session))).collect();
    let at = At::admin(&["sessions", "{session}", "end"]);
    (!choices.is_empty()).then(|| Form::own("End a session", &at, [Field::which("session", "Session", choices)]))
}

fn named(session: &Session) -> String {
    format!("{} {}", session.ip, session.agent.as_deref().unwrap_or_default())
}

impl Row for Passkey {
    const COLUMNS: &'static [&'static str] = &["Passkey", "Make", "Id"];
    const EMPTY: &'static str = "There is none.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        let make = if self.attested { "proven" } else { "not attested" };
        vec![Cell::Text(called(self)), Cell::Text(make.into()), Cell::Code(self.id.clone())]
    }
}

impl Row for Session {
    const COLUMNS: &'static [&'static str] = &["From", "With", "Began", "Last used", "Ends", "Which"];
    const EMPTY: &'static str = "Nobody is signed in as this person.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        vec![
            Cell::Code(self.ip.clone()),
            Cell::or_nothing(self.agent.clone(), Cell::Text),
            Cell::Time(self.began_at),
            Cell::Time(self.seen_at),
            Cell::Time(self.expires_at),
            if self.current { Cell::Text("this one".into()) } else { Cell::Nothing },
        ]
    }
}
