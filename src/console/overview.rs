//! What goes on with a tenant, and searches.

use super::cell::Cell;
use super::chart::Chart;
use super::client::{Api, At};
use super::csv::Row;
use super::filters;
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section, base};
use super::list::Here;
use super::refusal::Refusal;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{
    Activity, ActivityHour, FrozenLog, Hit, Hits, Kek, Lock, LogStanding, Page, Restore, Sink, Tenant, Witnessed,
};
use axum::extract::Path;
use policies::admin::Act;

/// `/console/tenants/{tenant}`
pub(super) async fn show(api: Api, Path(tenant): Path<String>) -> Answer {
    let at = |list: &str| At::tenant(&tenant, &[list]);
    let frame = Frame::tenant(&api, &tenant, Section::Overview, "Overview").await?;
    let log: Option<LogStanding> = api.find(&at("log")).await?;
    let activity: Activity = api.get(&at("activity")).await?;
    let waiting = at("restores").with("state", "pending");
    let waiting = Table::first::<Restore>(&api, waiting, ("Restores that wait", &frame.base)).await?;
    let keks = Table::first::<Kek>(&api, at("keks"), ("KEKs", &frame.base)).await?;
    let sinks = Table::first::<Sink>(&api, at("sinks"), ("Sinks", &frame.base)).await?;
    let witnesses = log.as_ref().map(|log| Table::of("Witnesses", &log.witnesses, &frame.base));
    let charts = charts(&activity.hours);
    let locks = Table::first::<Lock>(&api, at("locks"), ("Locks", &frame.base)).await?;
    let sheet = log.iter().fold(Sheet::new(frame), |sheet, log| standing(sheet, &tenant, log));
    let sheet = sheet.table(waiting).table(locks.filter(|locks| !locks.rows.is_empty())).charts(charts);
    let sheet = log.iter().fold(sheet, |sheet, _| sheet.stream(At::tenant(&tenant, &["stream"]).path().to_owned()));
    sheet.table(keks).table(sinks).table(witnesses).page()
}

/// How the log stands.
fn standing(sheet: Sheet, tenant: &str, log: &LogStanding) -> Sheet {
    let sheet = sheet.facts([("Events in the log", Cell::Count(log.size)), ("Last event", Cell::Time(log.changed_at))]);
    let Some(FrozenLog { witness, contradiction, .. }) = &log.frozen else { return sheet };
    let thaw = Form::plain(Act::LogThaw, "Let the log go on", &At::tenant(tenant, &["log", "thaw"]), [Field::reason()]);
    sheet
        .note(Some(format!("The log is frozen, so nothing can be done: {witness} says {contradiction}.")))
        .form(thaw.warning("The witness knows another history of this log. What it says counts for nothing then."))
}

fn charts(hours: &[ActivityHour]) -> [Chart; 5] {
    let values = |of: fn(&ActivityHour) -> u64| -> Vec<_> {
        hours.iter().map(|hour| (filters::hour(hour.begins_at), of(hour))).collect()
    };
    let slow = values(|hour| {
        [hour.wrap_latency, hour.restore_latency].iter().flatten().map(|took| took.p99).max().unwrap_or(0)
    });
    let slowest = slow.iter().map(|(_, took)| took).max().unwrap_or(&0);
    let said = format!("{slowest} ms in the worst hour since the broker's start");
    [
        Chart::of("Wraps", "wraps", &values(|hour| hour.wraps)),
        Chart::of("Restores", "restores", &values(|hour| hour.restores)),
        Chart::of("Refusals", "refusals", &values(|hour| hour.refusals)).bad(),
        Chart::of("Failures", "failures", &values(|hour| hour.failures)).bad(),
        Chart::of("Slowest hundredth", "ms", &slow).said(said),
    ]
}

/// `/console/search`, of one tenant or of all.
pub(super) async fn search(api: Api, here: Here) -> Answer {
    let wanted = here.value("q");
    let frame = Frame::whole(&api, Section::Elsewhere, "Search").await?;
    let tenants = match (here.value("tenant"), frame.home()) {
        ("", Some(own)) => vec![own.to_owned()],
        ("", None) => tenants(&api).await?,
        (tenant, _) => vec![tenant.to_owned()],
    };
    let mut found = Vec::new();
    for tenant in &tenants {
        let Hits { hits } = api.get(&At::tenant(tenant, &["search"]).with("q", wanted)).await?;
        found.extend(Some(Table::of(tenant, &hits, &base(tenant))).filter(|_| !hits.is_empty()));
    }
    let none = Table::of("", &[] as &[Hit], "");
    let sheet = if found.is_empty() { Sheet::new(frame).table(none) } else { Sheet::new(frame) };
    found.into_iter().fold(sheet, Sheet::table).page()
}

/// The first tenants, by their ids.
async fn tenants(api: &Api) -> Result<Vec<String>, Refusal> {
    let Page { items, .. }: Page<Tenant> = api.get(&At::admin(&["tenants"])).await?;
    Ok(items.into_iter().map(|tenant| tenant.id).collect())
}

impl Row for Hit {
    const COLUMNS: &'static [&'static str] = &["Found", "What it is"];
    const EMPTY: &'static str = "Nothing has that id. A person is also found by how their id begins.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        let (folder, id, what) = match self {
            Self::User(id) => ("people", id.clone(), "person"),
            Self::Device(id) => ("devices", id.to_string(), "device"),
            Self::Record(id) => ("records", id.to_string(), "record"),
            Self::Restore(id) => ("restores", id.to_string(), "restore"),
            Self::Kek(id) => ("keks", id.to_string(), "KEK"),
            Self::Rewrap(id) => ("rewraps", id.to_string(), "rewrap"),
            Self::Event(index) => ("events", index.to_string(), "event"),
        };
        vec![Cell::link(base, folder, &id), Cell::Text(what.into())]
    }
}

impl Row for Witnessed {
    const COLUMNS: &'static [&'static str] = &["Witness", "Events that it has cosigned", "When"];
    const EMPTY: &'static str = "No witness has cosigned this log. Witnesses are set up in the configuration file.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        vec![Cell::Text(self.witness.clone()), Cell::Count(self.size), Cell::Time(self.received_at)]
    }
}
