//! Where a tenant's log is delivered to.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section, escaped};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{DeadLetter, Page, Sink};
use axum::extract::Path;
use policies::admin::Act;

/// `/console/tenants/{tenant}/sinks`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let frame = Frame::tenant(&api, &tenant, Section::Sinks, "Sinks").await?;
    let table = Table::read::<Sink>(&api, At::tenant(&tenant, &["sinks"]), (&here, &frame.base)).await?;
    Sheet::new(frame).table(table).page()
}

/// `/console/tenants/{tenant}/sinks.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Sink>>(api, At::tenant(&tenant, &["sinks"]), &here, "sinks").await
}

/// `/console/tenants/{tenant}/sinks/{sink}`
pub(super) async fn show(api: Api, Path((tenant, sink)): Path<(String, String)>, here: Here) -> Answer {
    let at = |part: &str| At::tenant(&tenant, &["sinks", &sink, part]);
    let frame = Frame::tenant(&api, &tenant, Section::Sinks, &sink).await?;
    let letters: Page<DeadLetter> = api.get(&here.part_of(at("dead-letters"))).await?;
    let links =
        here.links(letters.next.as_deref()).file(format!("{}/sinks/{}/dead-letters.csv", frame.base, escaped(&sink)));
    let table = Table::of("Dead letters", &letters.items, &frame.base).going_on(links);
    let replay = [Field::number("from", "First event"), Field::number("to", "First event beyond")];
    let give_up = [Field::number("to", "First event that is still to be delivered"), Field::reason()];
    Sheet::new(frame)
        .table(table)
        .forms(redeliver(&tenant, &sink, &letters.items))
        .form(Form::plain(Act::SinksWrite, "Send a test message", &at("test"), []))
        .form(Form::plain(Act::SinksWrite, "Deliver events again", &at("replays"), replay))
        .form(Form::plain(Act::SinksWrite, "Pause", &at("pause"), [Field::reason()]))
        .form(Form::plain(Act::SinksWrite, "Resume", &at("resume"), [Field::reason()]))
        .form(
            Form::plain(Act::SinksWrite, "Give up events", &at("gaps"), give_up)
                .warning("The receiver never gets those before. The log keeps them."),
        )
        .page()
}

/// `/console/tenants/{tenant}/sinks/{sink}/dead-letters.csv`
pub(super) async fn dead_letters(api: Api, Path((tenant, sink)): Path<(String, String)>, here: Here) -> Answer {
    let at = At::tenant(&tenant, &["sinks", &sink, "dead-letters"]);
    csv::export::<Page<DeadLetter>>(api, at, &here, "dead-letters").await
}

fn redeliver(tenant: &str, sink: &str, letters: &[DeadLetter]) -> Option<Form> {
    let choices: Vec<_> = letters.iter().map(|letter| (letter.index.to_string(), letter.index.to_string())).collect();
    let at = At::tenant(tenant, &["sinks", sink, "dead-letters", "{index}", "redeliver"]);
    let again = [Field::which("index", "Event", choices)];
    (!letters.is_empty()).then(|| Form::plain(Act::SinksWrite, "Deliver a dead letter again", &at, again))
}

impl Row for Sink {
    const COLUMNS: &'static [&'static str] =
        &["Sink", "State", "Why", "Since", "Events behind", "Seconds behind", "Dead letters", "Given up", "Confirmed"];
    const EMPTY: &'static str = "The log is delivered nowhere. Sinks are set up in the configuration file.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![
            Cell::link(base, "sinks", &self.name),
            Cell::State(self.state.clone()),
            Cell::or_nothing(self.reason.clone(), Cell::Text),
            Cell::or_nothing(self.since, Cell::Time),
            Cell::Count(self.lag_events),
            Cell::Count(self.lag_seconds),
            Cell::Count(self.dead),
            Cell::Count(self.given_up),
            Cell::or_nothing(self.confirmed_at, Cell::Time),
        ]
    }
}

impl Row for DeadLetter {
    const COLUMNS: &'static [&'static str] = &["Event", "Why", "Refused"];
    const EMPTY: &'static str = "The receiver has refused nothing for good.";

    fn cells(&self, base: &str) -> Vec<Cell> {
        vec![Cell::link(base, "events", &self.index), Cell::Text(self.reason.clone()), Cell::Time(self.refused_at)]
    }
}
