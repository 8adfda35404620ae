//! A witness over HTTP (C2SP tlog-witness): a server of its own, which shares nothing with the broker's.

use super::request::BODY_DEADLINE;
use crate::clock::Clock;
use ::witness::{MAX_REQUEST, Refusal, Witness};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use tokio::time::timeout;

/// What the standard calls the body of a conflict.
const SIZE: &str = "text/x.tlog.size";

type Watch = State<(Arc<Witness>, Arc<Clock>)>;

/// All routes, ready to be served.
pub fn router(witness: Arc<Witness>, clock: Arc<Clock>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin_hash}/checkpoint", get(checkpoint))
        .route("/healthz", get(async || "ok\n"))
        .with_state((witness, clock))
}

/// Cosigns a checkpoint that continues what was cosigned.
async fn add_checkpoint(State((witness, clock)): Watch, body: Body) -> Response {
    let Ok(Ok(body)) = timeout(BODY_DEADLINE, to_bytes(body, MAX_REQUEST)).await else {
        return refused(&Refusal::Malformed);
    };
    let Ok(request) = String::from_utf8(body.into()) else { return refused(&Refusal::Malformed) };
    let now = clock.now().unsigned_abs() / 1_000;
    // In a thread that may wait for the disk, and goes on when the client hangs up.
    let answer = tokio::task::spawn_blocking(move || witness.add_checkpoint(&request, now)).await;
    answered(answer)
}

/// The newest checkpoint cosigned, for whoever compares.
async fn checkpoint(State((witness, _)): Watch, Path(origin_hash): Path<String>) -> Response {
    answered(tokio::task::spawn_blocking(move || witness.checkpoint(&origin_hash)).await)
}

fn answered(answer: Result<Result<String, Refusal>, tokio::task::JoinError>) -> Response {
    match answer {
        Ok(Ok(text)) => text.into_response(),
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Malformed => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog => StatusCode::NOT_FOUND,
        Refusal::Unsigned => StatusCode::FORBIDDEN,
        Refusal::Conflict(size) => {
            return (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE)], format!("{size}\n")).into_response();
        }
        Refusal::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Record(error) => {
            tracing::error!(error = error as &dyn std::error::Error, "nothing is cosigned");
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (status, format!("{refusal}\n")).into_response()
}
