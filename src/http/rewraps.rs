//! The admin API: rewraps.

use super::admin::{Created, Listed, Shared, limit, listed};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, Page, PageQuery};
use crate::commit::RewrapStep;
use crate::error::Error;
use crate::ops;
use crate::ops::rewrap::Progress;
use crate::store::rewraps::{self, Rewrap, RewrapState};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;
use uuid::Uuid;

/// Begins to wrap anew what is not under the KEKs that the tenant wants.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/rewraps", tag = "admin", security(("admin" = ["rewraps:write"])), params(("tenant" = String, Path)),
    request_body = api::StartRewrap,
    responses((status = 201, body = api::Rewrap), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn start(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::StartRewrap>,
) -> Created<api::Rewrap> {
    if ask.per_second.is_some_and(|rate| !(1..=100_000).contains(&rate)) {
        return Err(Error::Malformed("`per_second` is not 1 to 100000"));
    }
    detached(async move {
        let asked = (ask.per_second, ask.verify.unwrap_or(true));
        let begun = ops::rewrap::start(&broker, &admin, &tenant, asked).await?;
        Ok((StatusCode::CREATED, Json(progressed(&begun, broker.clock.now()))))
    })
    .await
}

/// The tenant's rewraps.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/rewraps", tag = "admin", security(("admin" = ["rewraps:read"])), operation_id = "rewraps",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = Page<api::Rewrap>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn list(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::Rewrap> {
    ops::admin::require_tenant(&broker, &tenant).await?;
    let rows = rewraps::page(&mut *broker.store.reader().await?, &tenant, &query.after, limit(&query)?).await?;
    listed(rows, &query, |rewrap| rewrap.id.to_string(), |rewrap| shown(&rewrap))
}

/// One rewrap, with how far it is.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/rewraps/{rewrap}", tag = "admin", security(("admin" = ["rewraps:read"])),
    params(("tenant" = String, Path), ("rewrap" = Uuid, Path)),
    responses((status = 200, body = api::Rewrap), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn progress(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, rewrap)): InPath<(String, Uuid)>,
) -> Result<Json<api::Rewrap>, Error> {
    let progress = ops::rewrap::progress(&broker, &tenant, rewrap).await?;
    Ok(Json(progressed(&progress, broker.clock.now())))
}

/// Pauses, resumes or stops a rewrap.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/rewraps/{rewrap}", tag = "admin", security(("admin" = ["rewraps:write"])),
    params(("tenant" = String, Path), ("rewrap" = Uuid, Path)), request_body = api::StepRewrap,
    responses((status = 201, body = api::Rewrap), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn step(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, rewrap)): InPath<(String, Uuid)>,
    Body(ask): Body<api::StepRewrap>,
) -> Created<api::Rewrap> {
    let step = match ask.step {
        api::RewrapStep::Pause => RewrapStep::Pause,
        api::RewrapStep::Resume => RewrapStep::Resume,
        api::RewrapStep::Stop => RewrapStep::Stop,
    };
    detached(async move {
        let progress = ops::rewrap::step(&broker, &admin, &tenant, (rewrap, step)).await?;
        Ok((StatusCode::CREATED, Json(progressed(&progress, broker.clock.now()))))
    })
    .await
}

fn shown(rewrap: &Rewrap) -> api::Rewrap {
    api::Rewrap {
        id: rewrap.id,
        state: rewrap.state.as_str().into(),
        reason: rewrap.reason.clone(),
        total: rewrap.total,
        remaining: None,
        eta_seconds: None,
        per_second: rewrap.per_second,
        verify: rewrap.verify,
        started_at: rewrap.started_at,
        changed_at: rewrap.changed_at,
    }
}

fn progressed(Progress { rewrap, remaining }: &Progress, now: i64) -> api::Rewrap {
    let done = rewrap.total.saturating_sub(*remaining);
    let elapsed = (now - rewrap.started_at).unsigned_abs() / 1_000;
    let going = rewrap.state == RewrapState::Running && done > 0 && elapsed > 0;
    let eta_seconds = going.then(|| remaining * elapsed / done);
    api::Rewrap { remaining: Some(*remaining), eta_seconds, ..shown(rewrap) }
}
