//! A tenant's log for auditors: C2SP tlog-tiles, and events with what they disclose.

use super::admin::{Created, reason};
use super::request::{Admin, Body, InPath, InQuery, detached};
use super::sinks::position;
use crate::api::{Because, Event, Events, EventsQuery, FrozenLog, LogStanding, ProvenEvent, Thawed, Witnessed};
use crate::broker::Broker;
use crate::error::Error;
use crate::ops;
use crate::ops::events::Wanted;
use crate::ops::log::{Entry, PAGE};
use crate::store::cosignatures::Cosignature;
use crate::store::frozen_logs;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use protocol::messages::Problem;
use std::sync::Arc;

/// The newest signed checkpoint (C2SP tlog-checkpoint).
#[utoipa::path(get, path = "/v1/tenants/{tenant}/log/checkpoint", tag = "log",
    security(("admin" = ["log:read"])), params(("tenant" = String, Path)),
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
    security(("admin" = ["log:read"])), params(("tenant" = String, Path)),
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
    security(("admin" = ["log:read"])), params(("tenant" = String, Path), ("tile" = String, Path)),
    responses((status = 200, body = Vec<u8>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn tile(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath((tenant, tile)): InPath<(String, String)>,
) -> Result<impl IntoResponse, Error> {
    let bytes = ops::log::resource(&broker, &tenant, &format!("tile/{tile}")).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

/// How the log stands, and who has witnessed it.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/log", tag = "log", security(("admin" = ["log:read"])), params(("tenant" = String, Path)),
    operation_id = "standing",
    responses((status = 200, body = LogStanding), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn standing(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath(tenant): InPath<String>,
) -> Result<Json<LogStanding>, Error> {
    let standing = ops::log::standing(&broker, &tenant).await?;
    let witnessed = |one: Cosignature| Witnessed { witness: one.witness, size: one.size, received_at: one.received_at };
    let frozen = |frozen: frozen_logs::FrozenLog| FrozenLog {
        witness: frozen.witness,
        contradiction: frozen.contradiction.as_str().into(),
        witnessed_size: frozen.witnessed_size,
        frozen_at: frozen.frozen_at,
    };
    Ok(Json(LogStanding {
        origin: standing.origin,
        vkey: standing.vkey,
        size: standing.head.size,
        changed_at: standing.head.changed_at,
        frozen: standing.frozen.map(frozen),
        witnesses: standing.cosignatures.into_iter().map(witnessed).collect(),
    }))
}

/// Events with their disclosures: from an index or a time on, like what is asked for.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/events", tag = "log", security(("admin" = ["log:read"])),
    params(("tenant" = String, Path), EventsQuery),
    responses((status = 200, body = Events), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn events(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<EventsQuery>,
) -> Result<Json<Events>, Error> {
    let found = ops::events::search(&broker, &tenant, &wanted(query)?).await?;
    Ok(Json(Events { events: found.entries.into_iter().map(Event::from).collect(), next: found.next }))
}

fn wanted(query: EventsQuery) -> Result<Wanted, Error> {
    let limit = match query.limit {
        None => PAGE,
        Some(limit @ 1..=1_000) => limit.into(),
        Some(0 | 1_001..) => return Err(Error::Malformed("`limit` is not 1 to 1000")),
    };
    Ok(Wanted {
        from: position(query.from, query.since, "it takes either `from` or `since`")?,
        to: position(query.to, query.until, "it takes either `to` or `until`")?,
        kind: query.evt,
        outcome: query.out,
        kek: query.kek,
        provider: query.prov,
        correlation: query.cor,
        newest_first: query.newest_first,
        limit,
    })
}

/// One event, with its proof.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/events/{index}", tag = "log", security(("admin" = ["log:read"])),
    params(("tenant" = String, Path), ("index" = u64, Path)),
    responses((status = 200, body = ProvenEvent), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn event(
    State(broker): State<Arc<Broker>>,
    _: Admin,
    InPath((tenant, index)): InPath<(String, u64)>,
) -> Result<Json<ProvenEvent>, Error> {
    let (entry, proof) = ops::log::event(&broker, &tenant, index).await?;
    Ok(Json(ProvenEvent { event: entry.into(), proof }))
}

impl From<Entry> for Event {
    fn from(Entry { index, leaf, disclosures, erased }: Entry) -> Self {
        Self { index, leaf, disclosures, erased }
    }
}
