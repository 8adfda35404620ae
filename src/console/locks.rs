//! Users who are locked, and frozen restores.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::refusal::Refusal;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Lock, Page};
use axum::extract::Path;
use policies::admin::Act;
use serde_json::json;

/// `/console/tenants/{tenant}/locks`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let frame = Frame::tenant(&api, &tenant, Section::Locks, "Locks").await?;
    let first: Page<Lock> = api.get(&at(&tenant).with("limit", "1")).await?;
    let frozen = first.items.iter().any(|lock| lock.user.is_none());
    let table = Table::read::<Lock>(&api, at(&tenant), (&here, &frame.base)).await?;
    let all = if frozen { thaw(&tenant) } else { freeze(&tenant) };
    let person = |act, title, at| Form::plain(act, title, &at, [Field::text("user", "Person"), Field::reason()]);
    Sheet::new(frame)
        .table(table)
        .form(all)
        .form(person(Act::RestoresLock, "Lock a person", at(&tenant)))
        .form(person(Act::RestoresUnlock, "Unlock a person", At::tenant(&tenant, &["locks", "unlock"])))
        .page()
}

/// `/console/tenants/{tenant}/locks.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Lock>>(api, at(&tenant), &here, "locks").await
}

/// What keeps restores of this person back; nothing where that may not be seen.
pub(super) async fn of(api: &Api, tenant: &str, user: &str) -> Result<Vec<Lock>, Refusal> {
    let found: Option<Page<Lock>> = api.find(&at(tenant).with("user", user)).await?;
    Ok(found.map(|page| page.items).unwrap_or_default())
}

/// What a page about the person says of it.
pub(super) fn note(locks: &[Lock]) -> Option<String> {
    let lock = locks.first()?;
    let why = if lock.by_admin { "by an administrator" } else { "because too much was asked for, or failed" };
    Some(match &lock.user {
        None => format!("All restores of the tenant are frozen {why}: none is released."),
        Some(_) => {
            format!("The person is locked {why}: nothing is released to them. Their devices still store records.")
        }
    })
}

/// Locks the person, or unlocks them.
pub(super) fn turn(tenant: &str, user: &str, locks: &[Lock]) -> Form {
    let fields = [Field::fixed("user", json!(user)), Field::reason()];
    if locks.iter().any(|lock| lock.user.is_some()) {
        let at = At::tenant(tenant, &["locks", "unlock"]);
        return Form::plain(Act::RestoresUnlock, "Unlock this person", &at, fields);
    }
    Form::plain(Act::RestoresLock, "Lock this person", &at(tenant), fields)
}

fn freeze(tenant: &str) -> Form {
    Form::plain(Act::RestoresLock, "Freeze all restores", &at(tenant), [Field::reason()])
        .warning("No restore of the tenant is released until somebody lets them go on. Nothing is lost.")
}

fn thaw(tenant: &str) -> Form {
    let at = At::tenant(tenant, &["locks", "unlock"]);
    Form::plain(Act::RestoresUnlock, "Let restores go on", &at, [Field::reason()])
}

fn at(tenant: &str) -> At {
    At::tenant(tenant, &["locks"])
}

impl Row for Lock {
    const COLUMNS: &'static [&'static str] = &["Person", "By", "Since"];
    const EMPTY: &'static str = "Nobody is locked. Whoever fails too often is listed here until somebody unlocks them.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        let everybody = Cell::Text("Everybody: all restores are frozen".into());
        vec![
            self.user.as_ref().map_or(everybody, |user| Cell::link(base, "people", user)),
            Cell::Text(if self.by_admin { "An administrator" } else { "A quota" }.into()),
            Cell::Time(self.locked_at),
        ]
    }
}
