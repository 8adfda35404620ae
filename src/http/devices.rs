//! Devices: enrolment, and what a device may know of itself.

use super::request::{InPath, Signed, detached};
use crate::broker::Broker;
use crate::error::Error;
use crate::{caller, ops};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protocol::encoding::from_json;
use protocol::messages::{DeviceStatus, Enrol, Enrolled, Problem, RecordList};
use std::sync::Arc;
use uuid::Uuid;

/// Enrols the key that signs the request.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/devices", tag = "devices", params(("tenant" = String, Path)),
    request_body(content = Enrol, content_type = "application/jose+json", description = "Payload of a JWS with `jwk`"),
    responses((status = 201, body = Enrolled), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn enrol(
    State(broker): State<Arc<Broker>>,
    Signed(request): Signed,
) -> Result<impl IntoResponse, Error> {
    detached(async move {
        let (newcomer, payload) = caller::newcomer(&broker, request)?;
        let ask: Enrol = from_json(&payload)?;
        Ok((StatusCode::CREATED, Json(ops::enrol::enrol(&broker, &newcomer, ask).await?)))
    })
    .await
}

/// The device as the broker knows it, and the ingress key to seal to.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/devices/{device}", tag = "devices",
    params(("tenant" = String, Path), ("device" = Uuid, Path)),
    request_body(content_type = "application/jose+json", description = "A JWS with an empty payload"),
    responses((status = 200, body = DeviceStatus), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn status(
    State(broker): State<Arc<Broker>>,
    InPath((_, device)): InPath<(String, Uuid)>,
    Signed(request): Signed,
) -> Result<Json<DeviceStatus>, Error> {
    let (caller, payload) = caller::device(&broker, request).await?;
    require_empty(&payload)?;
    Ok(Json(ops::read::device(&broker, &caller, device).await?))
}

/// All records of the device's user.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/devices/{device}/records", tag = "devices",
    params(("tenant" = String, Path), ("device" = Uuid, Path)),
    request_body(content_type = "application/jose+json", description = "A JWS with an empty payload"),
    responses((status = 200, body = RecordList), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn records(
    State(broker): State<Arc<Broker>>,
    InPath((_, device)): InPath<(String, Uuid)>,
    Signed(request): Signed,
) -> Result<Json<RecordList>, Error> {
    let (caller, payload) = caller::device(&broker, request).await?;
    require_empty(&payload)?;
    Ok(Json(ops::read::records(&broker, &caller, device).await?))
}

/// A POST-as-GET asks for nothing but what its URL says (RFC 8555, section 6.3).
pub(super) fn require_empty(payload: &[u8]) -> Result<(), Error> {
    if payload.is_empty() { Ok(()) } else { Err(Error::Malformed("the payload must be empty here")) }
}
