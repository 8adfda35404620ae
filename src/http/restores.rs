//! Restores: asked for, released, acknowledged; stopped or approved by another device.

use super::devices::require_empty;
use super::request::{InPath, Signed, detached};
use crate::broker::Broker;
use crate::caller::{self, DeviceCaller, SignedRequest};
use crate::clock::hour_of;
use crate::error::Error;
use crate::latency::Operation;
use crate::ops;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protocol::encoding::from_json;
use protocol::messages::{Acknowledge, Approve, OpenRestore, Problem, Release, Released, RestoreOpened, Veto};
use serde::de::DeserializeOwned;
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
        let (caller, ask) = asked::<OpenRestore>(&broker, request).await?;
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
        let (caller, ask) = asked::<Release>(&broker, request).await?;
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
        let (caller, ack) = asked::<Acknowledge>(&broker, request).await?;
        ops::restore::acknowledge(&broker, &caller, restore, &ack).await.map(done)
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
        let (caller, Veto {}) = asked(&broker, request).await?;
        ops::restore::veto::by_device(&broker, &caller, restore).await.map(done)
    })
    .await
}

/// Approves a restore that another device of the same user asks for, with the code that is shown there.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/restores/{restore}/approve", tag = "restores",
    params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    request_body(content = Approve, content_type = "application/jose+json", description = "Payload of a JWS with `kid`"),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn approve(
    State(broker): State<Arc<Broker>>,
    InPath((_, restore)): InPath<(String, Uuid)>,
    Signed(request): Signed,
) -> Result<StatusCode, Error> {
    detached(async move {
        let signature = request.body.clone();
        let (caller, ask) = asked::<Approve>(&broker, request).await?;
        ops::restore::decide::by_device(&broker, &caller, restore, (&ask, signature)).await.map(done)
    })
    .await
}

/// The device that has proven itself, and what it asks for.
async fn asked<M: DeserializeOwned>(broker: &Broker, request: SignedRequest) -> Result<(DeviceCaller, M), Error> {
    let (caller, payload) = caller::device(broker, request).await?;
    Ok((caller, from_json(&payload)?))
}

fn done((): ()) -> StatusCode {
    StatusCode::NO_CONTENT
}
