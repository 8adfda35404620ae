//! The admin API: a part of the log is to be shown to an auditor.

use super::admin::{Created, Shared};
use super::request::{Admin, Body, InPath, detached};
use crate::api;
use crate::config::sink::Selector;
use crate::error::Error;
use crate::ops::evidence::{self, Asked};
use crate::ops::place::Place;
use audit::event::Field;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;
use protocol::names::Text;

/// Writes down that an auditor is to be shown events of a range with these fields, and gives what proves them.
/// `keyfold audit export` does that, and then reads the events.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/exports", tag = "admin", security(("admin" = ["log:export"])), params(("tenant" = String, Path)),
    request_body = api::AskExport,
    responses((status = 201, body = api::Export), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn export(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::AskExport>,
) -> Created<api::Export> {
    detached(async move {
        let done = evidence::record(&broker, &admin, &tenant, &asked(ask)?).await?;
        let rules = broker.policies.in_force(&tenant).await?;
        let shown = api::Export {
            export: done.export,
            made_at: done.made_at,
            from: done.range.start,
            to: done.range.end,
            checkpoint: done.checkpoint,
            policies: rules.set.full_text().into(),
            schema: rules.set.schema().into(),
        };
        Ok((StatusCode::CREATED, Json(shown)))
    })
    .await
}

fn asked(ask: api::AskExport) -> Result<Asked, Error> {
    let auditor: Text<128> =
        ask.auditor.parse().map_err(|_| Error::Malformed("`for` is not 1 to 128 printable bytes"))?;
    let field = |name: &String| Field::ALL.into_iter().find(|field| field.as_str() == name);
    let fields = ask.fields.iter().map(field).collect::<Option<_>>();
    let names = |names: Vec<String>| {
        let known = names.iter().all(|name| Selector::try_from(name.clone()).is_ok());
        if known { Ok(names.join(",")) } else { Err(Error::Malformed("`events` names no kind or group of events")) }
    };
    Ok(Asked {
        auditor: auditor.as_str().into(),
        fields: fields.ok_or(Error::Malformed("`fields` names a field that events do not have"))?,
        events: ask.events.map(names).transpose()?,
        from: ask.from.map(place),
        to: ask.to.map(place),
    })
}

fn place(place: api::Place) -> Place {
    match place {
        api::Place::Index(index) => Place::Index(index),
        api::Place::Time(time) => Place::Time(time),
    }
}
