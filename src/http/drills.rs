//! The admin API: drills.

use super::admin::{Created, Shared};
use super::request::{Admin, Body, InPath, detached};
use crate::api;
use crate::error::Error;
use crate::ops::drill::{self, Report};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;

/// Opens a random sample of the tenant's records through every KEK that they are under, and releases nothing.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/drills", tag = "admin", security(("admin" = ["drills:run"])), params(("tenant" = String, Path)),
    request_body = api::AskDrill,
    responses((status = 201, body = api::Drill), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn drill(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::AskDrill>,
) -> Created<api::Drill> {
    detached(async move {
        if !(1..=1_000).contains(&ask.sample) {
            return Err(Error::Malformed("`sample` is not 1 to 1000"));
        }
        let report = drill::drill(&broker, &admin, &tenant, ask.sample).await?;
        Ok((StatusCode::CREATED, Json(shown(report))))
    })
    .await
}

fn shown(report: Report) -> api::Drill {
    let failure =
        |failed: drill::Failed| api::DrillFailure { record: failed.record, kek: failed.kek, code: failed.code.into() };
    let kek = |(kek, (opened, failed))| api::DrilledKek { kek, opened, failed };
    api::Drill {
        id: report.id,
        sampled: report.sampled,
        opened: report.opened,
        untried: report.untried,
        failed: report.failed.into_iter().map(failure).collect(),
        keks: report.keks.into_iter().map(kek).collect(),
    }
}
