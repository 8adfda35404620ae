//! Records: backing up.

use super::request::{Signed, detached};
use crate::broker::Broker;
use crate::clock::hour_of;
use crate::error::Error;
use crate::latency::Operation;
use crate::{caller, ops};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protocol::encoding::from_json;
use protocol::messages::{Problem, Wrap, Wrapped};
use std::sync::Arc;
use std::time::Instant;

/// Wraps and keeps one record.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/records", tag = "records", params(("tenant" = String, Path)),
    request_body(content = Wrap, content_type = "application/jose+json", description = "Payload of a JWS with `kid`"),
    responses((status = 201, body = Wrapped), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn wrap(
    State(broker): State<Arc<Broker>>,
    Signed(request): Signed,
) -> Result<impl IntoResponse, Error> {
    detached(async move {
        let started = Instant::now();
        let (caller, payload) = caller::device(&broker, request).await?;
        let ask: Wrap = from_json(&payload)?;
        let wrapped = ops::wrap::wrap(&broker, &caller, ask).await?;
        let hour = hour_of(broker.clock.now());
        broker.latencies.record(caller.tenant.as_str(), hour, Operation::Wrap, started.elapsed());
        Ok((StatusCode::CREATED, Json(wrapped)))
    })
    .await
}
