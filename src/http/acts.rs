//! What a person is shown before they sign.

use super::admin::Shared;
use super::approvals::decision;
use super::authorisation::{Demand, Route, Routes};
use super::request::{Admin, Body};
use crate::api;
use crate::broker::Broker;
use crate::caller::Person;
use crate::error::Error;
use crate::ops::people::acts::{self, Challenge, Request, Shown};
use crate::ops::restore::decide::to_sign;
use axum::extract::State;
use axum::{Extension, Json};
use policies::admin::Act;
use protocol::encoding::from_json;
use protocol::messages::Problem;
use serde_json::Value;
use std::sync::Arc;

/// Says what a request would do, and what has to be signed for it. Nothing is done yet.
#[utoipa::path(post, path = "/v1/admin/acts", tag = "sessions", security(("admin" = [])), request_body = api::BeginAct,
    operation_id = "begin_act",
    responses((status = 200, body = api::Act), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn begin(
    State(broker): Shared,
    Extension(routes): Extension<Arc<Routes>>,
    Admin(caller): Admin,
    Body(ask): Body<api::BeginAct>,
) -> Result<Json<api::Act>, Error> {
    let person = caller.person()?;
    let path = ask.path.split('?').next().unwrap_or_default();
    let (route, names) = routes.find(&ask.method, path).ok_or(Error::NotFound)?;
    let tenant = names.iter().find(|(name, _)| name == "tenant").map(|(_, tenant)| tenant.as_str());
    let Demand::May(act) = route.demand else { return Ok(Json(unsigned(shown(route, &names, &ask.body)))) };
    caller.check(act, tenant)?;
    if !act.needs_passkey() {
        return Ok(Json(unsigned(shown(route, &names, &ask.body))));
    }
    let mut shown = shown(route, &names, &ask.body);
    let challenge = challenge(&broker, act, (&names, &ask.body), &mut shown).await?;
    Ok(Json(begun(&broker, (person, tenant), &ask, (shown, challenge))?))
}

fn begun(
    broker: &Broker,
    who: (&Person, Option<&str>),
    ask: &api::BeginAct,
    (shown, challenge): (Shown, Challenge),
) -> Result<api::Act, Error> {
    let request = Request { method: &ask.method, path: &ask.path, body: ask.body.as_bytes() };
    let (act, options) = acts::begin(broker, who, request, (&shown, challenge))?;
    Ok(api::Act { act: Some(act), options: Some(options), ..unsigned(shown) })
}

/// A decision on a restore is signed as such, and its person reads what they decide on.
async fn challenge(
    broker: &Broker,
    act: Act,
    (names, body): (&[(String, String)], &str),
    shown: &mut Shown,
) -> Result<Challenge, Error> {
    let named = |wanted: &str| names.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let (Act::RestoresApprove, Some(tenant), Some(restore)) = (act, named("tenant"), named("restore")) else {
        return Ok(Challenge::Act);
    };
    let restore = restore.parse().map_err(|_| Error::NotFound)?;
    let decision = decision(&from_json(body.as_bytes())?)?;
    let (challenge, of_restore) = to_sign(broker, (tenant, restore), decision).await?;
    shown.lines.extend(of_restore);
    Ok(Challenge::Approval(challenge))
}

fn unsigned(shown: Shown) -> api::Act {
    let lines = shown.lines.into_iter().map(|(name, value)| api::Line { name, value }).collect();
    api::Act { act: None, shown: api::Shown { title: shown.title, lines }, options: None }
}

/// What the route does, to what the path names, with every member of the body.
fn shown(route: &Route, names: &[(String, String)], body: &str) -> Shown {
    let mut lines = names.to_vec();
    match serde_json::from_str::<Value>(body) {
        Ok(Value::Object(members)) => lines.extend(members.into_iter().map(|(name, value)| (name, plain(value)))),
        Ok(_) | Err(_) if body.is_empty() => {}
        Ok(_) | Err(_) => lines.push(("body".into(), body.into())),
    }
    Shown { title: route.summary.clone(), lines }
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        value => value.to_string(),
    }
}
