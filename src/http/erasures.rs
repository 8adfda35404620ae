//! The admin API: a person is erased from the log.

use super::admin::{Created, Shared, reason};
use super::request::{Admin, Body, InPath, detached};
use crate::api;
use crate::ops;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;

/// Erases a person from the log, for good: nobody can disclose the events about them any more. Every proof still verifies.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/users/{user}/erase", tag = "admin", security(("admin" = ["subjects:erase"])),
    params(("tenant" = String, Path), ("user" = String, Path)), request_body = api::Because,
    operation_id = "erase_user",
    responses((status = 201, body = api::Erased), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn erase(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, user)): InPath<(String, String)>,
    Body(ask): Body<api::Because>,
) -> Created<api::Erased> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let erasure = ops::erase::erase(&broker, &admin, &tenant, (&user, reason.as_str())).await?;
        Ok((StatusCode::CREATED, Json(api::Erased { erasure })))
    })
    .await
}
