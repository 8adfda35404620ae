//! The admin API: sinks.

use super::admin::{Created, Listed, Shared, limit, listed, reason};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, Page, PageQuery};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::ops::place::Place;
use crate::ops::sinks::{self as ops, Seen};
use crate::store::dead_letters::DeadLetter;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;
use std::ops::Range;

/// The sinks that the tenant's log goes to, and how far each is.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/sinks", tag = "admin", security(("admin" = ["sinks:read"])), operation_id = "sinks",
    params(("tenant" = String, Path)),
    responses((status = 200, body = Page<api::Sink>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn list(State(broker): Shared, _: Admin, InPath(tenant): InPath<String>) -> Listed<api::Sink> {
    let now = broker.clock.now();
    let sinks = ops::list(&broker, &tenant).await?;
    Ok(Json(Page { items: sinks.into_iter().map(|seen| shown(seen, now)).collect(), next: None }))
}

/// Stops a sink for this tenant, until it is resumed.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/sinks/{sink}/pause", tag = "admin", security(("admin" = ["sinks:write"])), operation_id = "pause_sink",
    params(("tenant" = String, Path), ("sink" = String, Path)), request_body = api::Because,
    responses((status = 201, body = api::Sink), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn pause(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, sink)): InPath<(String, String)>,
    Body(ask): Body<api::Because>,
) -> Created<api::Sink> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let done = ops::pause(&broker, &admin, (&tenant, &sink), reason.as_str()).await?;
        Ok((StatusCode::CREATED, Json(shown(done, broker.clock.now()))))
    })
    .await
}

/// Has a stopped sink deliver again, at once.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/sinks/{sink}/resume", tag = "admin", security(("admin" = ["sinks:write"])), operation_id = "resume_sink",
    params(("tenant" = String, Path), ("sink" = String, Path)), request_body = api::Because,
    responses((status = 201, body = api::Sink), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn resume(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, sink)): InPath<(String, String)>,
    Body(ask): Body<api::Because>,
) -> Created<api::Sink> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let done = ops::resume(&broker, &admin, (&tenant, &sink), reason.as_str()).await?;
        Ok((StatusCode::CREATED, Json(shown(done, broker.clock.now()))))
    })
    .await
}

/// Delivers a range once more, beside what happens meanwhile.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/sinks/{sink}/replays", tag = "admin", security(("admin" = ["sinks:write"])), operation_id = "replay_sink",
    params(("tenant" = String, Path), ("sink" = String, Path)), request_body = api::AskReplay,
    responses((status = 201, body = api::Sink), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn replay(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, sink)): InPath<(String, String)>,
    Body(ask): Body<api::AskReplay>,
) -> Created<api::Sink> {
    detached(async move {
        let from = position(ask.from, ask.since, "it takes either `from` or `since`")?;
        let from = from.ok_or(Error::Malformed("`from` or `since` is missing"))?;
        let to = position(ask.to, ask.until, "it takes either `to` or `until`")?;
        let done = ops::replay(&broker, &admin, (&tenant, &sink), (from, to)).await?;
        Ok((StatusCode::CREATED, Json(shown(done, broker.clock.now()))))
    })
    .await
}

/// Gives up what is not delivered before an index.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/sinks/{sink}/gaps", tag = "admin", security(("admin" = ["sinks:write"])), operation_id = "give_up_events",
    params(("tenant" = String, Path), ("sink" = String, Path)), request_body = api::AskGap,
    responses((status = 201, body = api::Sink), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn give_up(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, sink)): InPath<(String, String)>,
    Body(ask): Body<api::AskGap>,
) -> Created<api::Sink> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let done = ops::give_up(&broker, &admin, (&tenant, &sink), (ask.to, reason.as_str())).await?;
        Ok((StatusCode::CREATED, Json(shown(done, broker.clock.now()))))
    })
    .await
}

/// Delivers the event of a dead letter once more.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/sinks/{sink}/dead-letters/{index}/redeliver", tag = "admin", security(("admin" = ["sinks:write"])), operation_id = "redeliver_dead_letter",
    params(("tenant" = String, Path), ("sink" = String, Path), ("index" = u64, Path)),
    responses((status = 201, body = api::Sink), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn redeliver(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, sink, index)): InPath<(String, String, u64)>,
) -> Created<api::Sink> {
    detached(async move {
        let done = ops::redeliver(&broker, &admin, (&tenant, &sink), index).await?;
        Ok((StatusCode::CREATED, Json(shown(done, broker.clock.now()))))
    })
    .await
}

/// Sends a test message, and waits for what becomes of it.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/sinks/{sink}/test", tag = "admin", security(("admin" = ["sinks:write"])), operation_id = "test_sink",
    params(("tenant" = String, Path), ("sink" = String, Path)),
    responses((status = 200, body = api::TestedSink), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn test(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, sink)): InPath<(String, String)>,
) -> Result<Json<api::TestedSink>, Error> {
    let tested = ops::test(&broker, (&tenant, &sink)).await?;
    Ok(Json(api::TestedSink { outcome: tested.err().map_or_else(|| "ok".into(), |reason| reason.as_str().into()) }))
}

/// The events that a receiver refused for good.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/sinks/{sink}/dead-letters", tag = "admin", security(("admin" = ["sinks:read"])),
    params(("tenant" = String, Path), ("sink" = String, Path), PageQuery),
    responses((status = 200, body = Page<api::DeadLetter>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn dead_letters(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, sink)): InPath<(String, String)>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::DeadLetter> {
    let after: Option<u64> = match query.after.as_str() {
        "" => None,
        after => Some(after.parse().map_err(|_| Error::Malformed("`after` is no index"))?),
    };
    let from = after.map_or(0, |after| after.saturating_add(1));
    let letters = ops::dead_letters(&broker, (&tenant, &sink), (from, limit(&query)?)).await?;
    let show = |letter: DeadLetter| api::DeadLetter {
        index: letter.index,
        reason: letter.reason,
        refused_at: letter.refused_at,
    };
    listed(letters, &query, |letter| letter.index.to_string(), show)
}

/// One of the two ways to name a place, or neither.
pub(super) fn position(
    index: Option<u64>,
    time: Option<Timestamp>,
    both: &'static str,
) -> Result<Option<Place>, Error> {
    match (index, time) {
        (Some(_), Some(_)) => Err(Error::Malformed(both)),
        (index, time) => Ok(index.map(Place::Index).or(time.map(Place::Time))),
    }
}

fn shown(Seen { sink, status }: Seen, now: Timestamp) -> api::Sink {
    let range = |Range { start, end }: Range<u64>| api::IndexRange { from: start, to: end };
    let waits = status.oldest_at.map_or(0, |at| u64::try_from(now - at).unwrap_or(0));
    api::Sink {
        name: sink.name.clone(),
        delivery: sink.delivery.as_str().into(),
        state: status.state.as_str().into(),
        reason: status.reason.map(|reason| reason.as_str().into()),
        since: status.since,
        size: status.size,
        next: status.next,
        lag_events: status.size - status.next,
        lag_seconds: waits / 1_000,
        confirmed_at: status.confirmed_at,
        sent: status.sent,
        filtered: status.filtered,
        dead: status.dead,
        given_up: status.given_up,
        replays: status.replays.into_iter().map(range).collect(),
    }
}
