//! For those who run it: health, readiness, metrics, a nonce to start with.

use super::router::openapi;
use crate::broker::Broker;
use crate::commit::CommitError;
use crate::error::Error;
use crate::store::log;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use utoipa::openapi::OpenApi;

/// What the health routes need beside the broker.
#[derive(Clone)]
pub struct Health {
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// A nonce to sign the first request with, in `Replay-Nonce`.
#[utoipa::path(get, path = "/v1/nonce", tag = "devices", responses((status = 204)))]
pub(super) async fn nonce() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The database can be read, written and has room: requests may be sent here.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, body = String), (status = 503)))]
pub(super) async fn readyz(State(broker): State<Arc<Broker>>) -> Result<&'static str, Error> {
    broker.disk.check()?;
    if broker.committer.is_stopped() {
        return Err(CommitError::Stopped.into());
    }
    log::latest_change(&mut *broker.store.reader().await?).await?;
    Ok("ready\n")
}

/// Prometheus metrics.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String)))]
pub(super) async fn metrics(Extension(health): Extension<Health>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], health.metrics.render())
}

/// This API, as OpenAPI 3.1.
pub(super) async fn document() -> Json<OpenApi> {
    Json(openapi())
}
