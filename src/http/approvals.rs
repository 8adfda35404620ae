//! The admin API: why a restore waits, and decisions on it.

use super::admin::{Shared, shown_restore};
use super::request::{Admin, Body, InPath, detached};
use crate::api;
use crate::broker::Broker;
use crate::error::Error;
use crate::ops::restore::{Asked, Counted, Weighed, asked_at, decide as op, page, seen};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::{Demand, Reason};
use protocol::approval::Decision;
use protocol::encoding::to_base64url;
use protocol::messages::Problem;
use uuid::Uuid;

/// What a restore is about, why it waits, and who has decided what.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/restores/{restore}/approvals", tag = "admin",
    security(("admin" = ["restores:read"])), params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    responses((status = 200, body = api::Approvals), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn approvals(
    State(broker): Shared,
    InPath((tenant, restore)): InPath<(String, Uuid)>,
) -> Result<Json<api::Approvals>, Error> {
    let (asked, weighed) = op::look(&broker, &tenant, restore).await?;
    Ok(Json(shown(&broker, asked, weighed)))
}

/// Approves a restore, or rejects it.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/restores/{restore}/decide", tag = "admin",
    security(("admin" = ["restores:approve"])), params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    request_body = api::Decide,
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn decide(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, restore)): InPath<(String, Uuid)>,
    Body(ask): Body<api::Decide>,
) -> Result<StatusCode, Error> {
    detached(async move {
        op::by_person(&broker, &caller, (&tenant, restore), decision(&ask)?).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// What the body of a decision says.
pub(super) fn decision(ask: &api::Decide) -> Result<Decision, Error> {
    ask.decision.parse().map_err(|_| Error::Malformed("`decision` is approve or reject"))
}

fn shown(broker: &Broker, asked: Asked, weighed: Weighed) -> api::Approvals {
    let shown = asked.rules.set.demands(&weighed.decision).into_iter();
    let shown = shown.filter_map(|(demand, reasons)| shown_demand(&asked, &weighed, demand, &reasons));
    let demands: Vec<_> = shown.collect();
    let forbidden_by = forbidden_by(&asked, &weighed);
    let login_at = asked.circumstances.login_at.map(|login| login.saturating_mul(1_000));
    let kinds = asked.kinds().into_iter().map(str::to_owned).collect();
    let (asked_at, transcript) = (asked_at(&asked.restore), to_base64url(&asked.restore.transcript));
    let page = page(broker, &asked.restore);
    let Asked { mut restore, device, .. } = asked;
    restore.state = seen(restore.state, weighed.decision.allowed && weighed.missing.nothing());
    api::Approvals {
        restore: shown_restore(restore),
        device_name: device.name,
        platform: device.platform,
        attested: device.attested,
        kinds,
        transcript,
        asked_at,
        login_at,
        allowed: weighed.decision.allowed,
        forbidden_by,
        demands,
        page,
        decisions: weighed.counted.into_iter().map(shown_decision).collect(),
    }
}

fn forbidden_by(asked: &Asked, weighed: &Weighed) -> Vec<api::PolicyName> {
    if weighed.decision.allowed {
        return Vec::new();
    }
    asked.rules.set.reasons(&weighed.decision).iter().map(shown_policy).collect()
}

/// Notices hold nothing up.
fn shown_demand(asked: &Asked, weighed: &Weighed, demand: Demand, reasons: &[Reason<'_>]) -> Option<api::Demand> {
    let missing = weighed.missing;
    let (demand, needed, missing, met_at) = match demand {
        Demand::Approvals(people) => ("approvals", people.into(), missing.approvals.into(), None),
        Demand::OwnDevice => ("own_device", 1, missing.own_device.into(), None),
        Demand::Delay(seconds) => {
            let met_at = asked_at(&asked.restore).saturating_add_unsigned(seconds.saturating_mul(1_000));
            ("delay", seconds, missing.delay_seconds, Some(met_at))
        }
        Demand::NotifyUser | Demand::NotifyApprovers => return None,
    };
    let own_device_counts = demand == "approvals" && weighed.decision.needs.own_device_counts;
    let policies = reasons.iter().map(shown_policy).collect();
    Some(api::Demand { demand: demand.into(), needed, missing, own_device_counts, met_at, policies })
}

fn shown_policy(reason: &Reason<'_>) -> api::PolicyName {
    api::PolicyName { id: reason.policy.into(), description: reason.description.map(str::to_owned) }
}

fn shown_decision(counted: Counted) -> api::Decided {
    api::Decided {
        approver: counted.approval.approver.id(),
        name: counted.name,
        decision: counted.approval.decision.as_str().into(),
        given_at: counted.approval.given_at,
        counts: counted.holds,
    }
}
