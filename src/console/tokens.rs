//! What programs administer with.

use super::cell::Cell;
use super::client::{Api, At};
use super::csv::{self, Row};
use super::form::{Field, Form};
use super::frame::{Answer, Frame, Section};
use super::list::Here;
use super::sheet::Sheet;
use super::table::Table;
use crate::api::{Page, Token};
use axum::extract::Path;
use policies::admin::Act;

/// `/console/tenants/{tenant}/tokens`
pub(super) async fn list(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    let at = At::tenant(&tenant, &["tokens"]);
    let Page { items, next } = api.get::<Page<Token>>(&here.part_of(at.clone())).await?;
    let frame = Frame::tenant(&api, &tenant, Section::Tokens, "API tokens").await?;
    let scopes = Act::ALL.into_iter().filter(|act| !act.is_for_people() && frame.may(*act));
    let fields = [
        Field::text("name", "Name: a-z, 0-9, dot, hyphen, underscore"),
        Field::number("days", "Days until it ends, at most 365"),
        Field::some("acts", "What it may do", scopes.map(|act| (act.as_str().to_owned(), false)).collect()),
    ];
    let make = Form::plain(Act::TokensWrite, "Make an API token", &at, fields);
    let table = Table::of("", &items, &frame.base).going_on(here.links(next.as_deref()));
    Sheet::new(frame).table(table).form(make).forms(revoke(&tenant, &items)).page()
}

/// `/console/tenants/{tenant}/tokens.csv`
pub(super) async fn csv(api: Api, Path(tenant): Path<String>, here: Here) -> Answer {
    csv::export::<Page<Token>>(api, At::tenant(&tenant, &["tokens"]), &here, "tokens").await
}

fn revoke(tenant: &str, tokens: &[Token]) -> Option<Form> {
    let choices: Vec<_> = tokens.iter().map(|token| (token.id.to_string(), token.name.clone())).collect();
    let at = At::tenant(tenant, &["tokens", "{token}", "revoke"]);
    let some = !choices.is_empty();
    let form = Form::plain(Act::TokensWrite, "Revoke an API token", &at, [Field::which("token", "API token", choices)]);
    some.then(|| form.warning("Whatever program uses it is refused at once."))
}

impl Row for Token {
    const COLUMNS: &'static [&'static str] = &["API token", "May", "Made by", "Made", "Ends"];
    const EMPTY: &'static str = "No API token counts here but those of the configuration file.";

    fn cells(&self, _: &str) -> Vec<Cell> {
        vec![
            Cell::Text(self.name.clone()),
            Cell::Text(self.acts.join(", ")),
            Cell::Text(self.made_by.clone()),
            Cell::Time(self.created_at),
            Cell::Time(self.expires_at),
        ]
    }
}
