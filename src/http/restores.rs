//! Restores: asked for, released, acknowledged.

use super::devices::require_empty;
use super::request::{InPath, Signed, detached};
use crate::broker::Broker;
use crate::clock::hour_of;
use crate::error::Error;
use crate::latency::Operation;
use crate::{caller, ops};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protocol::encoding::from_json;
use protocol::messages::{Acknowledge, OpenRestore, Problem, Release, Released, RestoreOpened, Veto};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// Asks for records, sealed to a key made for this restore.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/restores", tag = "restores", params(("tenant" = String, Path)),
    request_body(content = OpenRestore, content_type = "application/jose+json", description = "Payload of a JWS with `kid`"),
    responses((status = 201, body = RestoreOpened), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn open(
    State(broker): State<Arc<Broker>>,
    Signed(request): Signed,
) -> Result<impl IntoResponse, Error> {
    detached(async move {
        let (caller, payload) = caller::device(&broker, request).await?;
        let ask: OpenRestore = from_json(&payload)?;
        Ok((StatusCode::CREATED, Json(ops::restore::open(&broker, &caller, ask).await?)))
    })
    .await
}

/// How a restore stands.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/restores/{restore}", tag = "restores",
    params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    request_body(content_type = "application/jose+json", description = "A JWS with an empty payload"),
    responses((status = 200, body = RestoreOpened), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn status(
    State(broker): State<Arc<Broker>>,
    InPath((_, restore)): InPath<(String, Uuid)>,
    Signed(request): Signed,
) -> Result<Json<RestoreOpened>, Error> {
    let (caller, payload) = caller::device(&broker, request).await?;
    require_empty(&payload)?;
    Ok(Json(ops::restore::status(&broker, &caller, restore).await?))
}

/// Releases the records, once; until the acknowledgement the same answer can be fetched again.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/restores/{restore}/release", tag = "restores",
    params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    request_body(content = Release, content_type = "application/jose+json", description = "Payload of a JWS with `kid`"),
    responses((status = 200, body = Released), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn release(
    State(broker): State<Arc<Broker>>,
    InPath((_, restore)): InPath<(String, Uuid)>,
    Signed(request): Signed,
) -> Result<Json<Released>, Error> {
    detached(async move {
        let started = Instant::now();
        let (caller, payload) = caller::device(&broker, request).await?;
        let ask: Release = from_json(&payload)?;
        let released = ops::restore::release(&broker, &caller, restore, &ask).await?;
        let hour = hour_of(broker.clock.now());
        broker.latencies.record(caller.tenant.as_str(), hour, Operation::Restore, started.elapsed());
        Ok(Json(released))
    })
    .await
}

/// The device has its keys: the sealed answer is forgotten.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/restores/{restore}/ack", tag = "restores",
    params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    request_body(content = Acknowledge, content_type = "application/jose+json", description = "Payload of a JWS with `kid`"),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn acknowledge(
    State(broker): State<Arc<Broker>>,
    InPath((_, restore)): InPath<(String, Uuid)>,
    Signed(request): Signed,
) -> Result<StatusCode, Error> {
    detached(async move {
        let (caller, payload) = caller::device(&broker, request).await?;
        let ack: Acknowledge = from_json(&payload)?;
        ops::restore::acknowledge(&broker, &caller, restore, &ack).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// Stops a restore of the device's user that was not released yet.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/restores/{restore}/veto", tag = "restores",
    params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    request_body(content = Veto, content_type = "application/jose+json", description = "Payload of a JWS with `kid`"),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn veto(
    State(broker): State<Arc<Broker>>,
    InPath((_, restore)): InPath<(String, Uuid)>,
    Signed(request): Signed,
) -> Result<StatusCode, Error> {
    detached(async move {
        let (caller, payload) = caller::device(&broker, request).await?;
        let Veto {} = from_json(&payload)?;
        ops::restore::veto::by_device(&broker, &caller, restore).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
