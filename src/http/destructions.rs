//! The admin API: crypto-shredding, by two people.

use super::admin::{Created, Listed, Shared, limit, listed, reason};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, Page, PageQuery};
use crate::ops::keks::destroy;
use crate::store::destructions::{self, Destruction};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;
use uuid::Uuid;

/// Asks that what a KEK wrapped be destroyed; shows what would be lost. Nothing happens until another confirms.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks/{kek}/destructions", tag = "admin", security(("admin" = ["keks:destroy"])),
    params(("tenant" = String, Path), ("kek" = Uuid, Path)), request_body = api::Because,
    operation_id = "request_destruction",
    responses((status = 201, body = api::Destruction), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn request(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, kek)): InPath<(String, Uuid)>,
    Body(ask): Body<api::Because>,
) -> Created<api::Destruction> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let asked = destroy::request(&broker, &admin, &tenant, (kek, reason.as_str())).await?;
        let wraps_new_records = Some(asked.wraps_new_records);
        Ok((StatusCode::CREATED, Json(api::Destruction { wraps_new_records, ..shown(asked.order) })))
    })
    .await
}

fn shown(order: Destruction) -> api::Destruction {
    api::Destruction {
        id: order.id,
        kek: order.kek,
        expires_at: order.expires_at(),
        reason: order.reason,
        requested_by: order.requested_by,
        state: order.state.as_str().into(),
        lost: order.stakes.lost,
        kept: order.stakes.kept,
        wraps_new_records: None,
    }
}

/// The tenant's destructions, those that wait for a confirmation too.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/destructions", tag = "admin", security(("admin" = ["keks:read"])),
    params(("tenant" = String, Path), PageQuery), operation_id = "destructions",
    responses((status = 200, body = Page<api::Destruction>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn list(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::Destruction> {
    crate::ops::admin::require_tenant(&broker, &tenant).await?;
    let rows = destructions::page(&mut *broker.store.reader().await?, &tenant, &query.after, limit(&query)?).await?;
    listed(rows, &query, |order| order.id.to_string(), shown)
}

/// Destroys for good, when another administrator than who asked repeats the count of records that will be lost.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/destructions/{destruction}/confirm", tag = "admin", security(("admin" = ["keks:destroy"])),
    params(("tenant" = String, Path), ("destruction" = Uuid, Path)), request_body = api::ConfirmDestruction,
    operation_id = "confirm_destruction",
    responses((status = 201, body = api::Destroyed), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn confirm(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, id)): InPath<(String, Uuid)>,
    Body(ask): Body<api::ConfirmDestruction>,
) -> Created<api::Destroyed> {
    detached(async move {
        let (stakes, done) = destroy::confirm(&broker, &admin, &tenant, (id, ask.records)).await?;
        let shown = api::Destroyed {
            lost: stakes.lost,
            kept: stakes.kept,
            effective_at: done.effective_at,
            restores_ended: done.restores_ended,
        };
        Ok((StatusCode::CREATED, Json(shown)))
    })
    .await
}

/// Takes the order to destroy back.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/destructions/{destruction}/cancel", tag = "admin", security(("admin" = ["keks:destroy"])),
    params(("tenant" = String, Path), ("destruction" = Uuid, Path)), operation_id = "cancel_destruction",
    responses((status = 201, body = api::Destruction), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn cancel(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, id)): InPath<(String, Uuid)>,
) -> Created<api::Destruction> {
    detached(async move {
        let order = destroy::cancel(&broker, &admin, &tenant, id).await?;
        Ok((StatusCode::CREATED, Json(shown(order))))
    })
    .await
}
