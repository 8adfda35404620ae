//! The admin API: what goes on, in numbers and as it happens.

use super::admin::Shared;
use super::request::{Admin, InPath, InQuery};
use crate::api::{self, ActivityQuery, StreamQuery};
use crate::error::Error;
use crate::latency::Percentiles;
use crate::ops;
use crate::ops::activity::Hour;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use protocol::messages::Problem;
use std::convert::Infallible;
use std::time::Duration;

/// How soon a client comes back when its stream has ended.
const RETRY: Duration = Duration::from_secs(1);

/// Wraps, restores, refusals, failures and latencies, hour by hour.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/activity", tag = "admin", security(("admin" = ["tenants:read"])),
    params(("tenant" = String, Path), ActivityQuery), operation_id = "activity",
    responses((status = 200, body = api::Activity), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn hours(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<ActivityQuery>,
) -> Result<Json<api::Activity>, Error> {
    let count = query.hours.unwrap_or(24);
    if !(1..=744).contains(&count) {
        return Err(Error::Malformed("`hours` is not 1 to 744"));
    }
    let hours = ops::activity::hours(&broker, &tenant, count).await?;
    Ok(Json(api::Activity { hours: hours.iter().map(shown).collect() }))
}

fn shown(hour: &Hour) -> api::ActivityHour {
    let latency = |Percentiles { p50, p99 }: Percentiles| api::Latency { p50, p99 };
    api::ActivityHour {
        begins_at: hour.begins_at,
        wraps: hour.wraps,
        restores: hour.restores,
        refusals: hour.refusals,
        failures: hour.failures,
        wrap_latency: hour.wrap_latency.map(latency),
        restore_latency: hour.restore_latency.map(latency),
    }
}

/// Events as they happen (server-sent events): `data` of each message is one `Event`, its id the index. A stream ends after a minute, so
/// that whoever may not read any more is asked who they are; clients come back with `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/stream", tag = "log", security(("admin" = ["log:read"])),
    params(("tenant" = String, Path), StreamQuery),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn stream(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<StreamQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let from = last_seen(&headers)?.map(|last| last.saturating_add(1)).or(query.from);
    let (first, entries) = ops::events::follow(broker, tenant, from).await?;
    let begin = Event::default().retry(RETRY);
    // So that whoever comes back says so, and is not taken for somebody who has just looked.
    let begin = first.checked_sub(1).into_iter().fold(begin, |begin, last| begin.id(last.to_string()));
    let begin = stream::iter([Ok(begin)]);
    let events = entries.map(|entry| {
        let event = api::Event::from(entry);
        let message = Event::default().id(event.index.to_string());
        Ok(message.json_data(&event).expect("invariant: an event is JSON"))
    });
    Ok(Sse::new(begin.chain(events)).keep_alive(KeepAlive::default()))
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let index = value.to_str().ok().and_then(|text| text.parse().ok());
    index.map(Some).ok_or(Error::Malformed("`Last-Event-ID` is no index"))
}
