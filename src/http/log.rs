//! A tenant's log for auditors: C2SP tlog-tiles, and events with what they disclose.

use super::admin::{Created, reason};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{Because, Event, Events, EventsQuery, Thawed};
use crate::broker::Broker;
use crate::error::Error;
use crate::ops::{self, log::Entry};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use protocol::messages::Problem;
use std::sync::Arc;

/// The newest signed checkpoint (C2SP tlog-checkpoint).
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/checkpoint", tag = "log", params(("tenant" = String, Path)),
    responses((status = 200, body = String), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn checkpoint(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath(tenant): InPath<String>,
) -> Result<String, Error> {
    ops::log::checkpoint(&broker, &tenant).await
}

/// The newest checkpoint with cosignatures of witnesses (C2SP tlog-cosignature).
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/checkpoint/witnessed", tag = "log",
    params(("tenant" = String, Path)),
    responses((status = 200, body = String), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn witnessed(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath(tenant): InPath<String>,
) -> Result<String, Error> {
    ops::log::witnessed(&broker, &tenant).await
}

/// Lets a frozen log take events again.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/log/thaw", tag = "log", security(("admin" = ["log:thaw"])), params(("tenant" = String, Path)),
    request_body = Because,
    responses((status = 201, body = Thawed), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn thaw(
    State(broker): State<Arc<Broker>>,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<Because>,
) -> Created<Thawed> {
    detached(async move {
        let index = ops::log::thaw(&broker, &admin, &tenant, reason(&ask.reason)?.as_str()).await?;
        Ok((StatusCode::CREATED, Json(Thawed { index })))
    })
    .await
}

/// A tile or an entry bundle (C2SP tlog-tiles).
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/tile/{*tile}", tag = "log",
    params(("tenant" = String, Path), ("tile" = String, Path)),
    responses((status = 200, body = Vec<u8>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn tile(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath((tenant, tile)): InPath<(String, String)>,
) -> Result<impl IntoResponse, Error> {
    let bytes = ops::log::resource(&broker, &tenant, &format!("tile/{tile}")).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

/// Events from an index on, with their disclosures.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/events", tag = "log", security(("admin" = ["log:read"])),
    params(("tenant" = String, Path), EventsQuery),
    responses((status = 200, body = Events), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn events(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<EventsQuery>,
) -> Result<Json<Events>, Error> {
    let entries = ops::log::events(&broker, &tenant, query.from).await?;
    Ok(Json(Events { events: entries.into_iter().map(shown).collect() }))
}

fn shown(Entry { index, leaf, disclosures, erased }: Entry) -> Event {
    Event { index, leaf, disclosures, erased }
}
