//! The admin API: KEKs.

use super::admin::{Created, Listed, Shared, limit, listed, reason, shown_revoked, shown_tenant};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, Page, PageQuery};
use crate::broker::Broker;
use crate::error::Error;
use crate::health::KekHealth;
use crate::kms::probe::Step;
use crate::ops;
use crate::store::keks;
use crate::store::tenants::Protection;
use crate::store::wraps::{self, Held};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;
use uuid::Uuid;

/// Registers a KEK, after trying it with a canary.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks", tag = "admin", security(("admin" = ["keks:write"])), params(("tenant" = String, Path)),
    request_body = api::RegisterKek,
    responses((status = 201, body = api::Kek), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn register(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::RegisterKek>,
) -> Created<api::Kek> {
    detached(async move {
        let kek = ops::keks::register(&broker, &admin, &tenant, (&ask.provider, &ask.key)).await?;
        Ok((StatusCode::CREATED, Json(shown_kek(&broker, kek))))
    })
    .await
}

fn shown_kek(broker: &Broker, kek: keks::Kek) -> api::Kek {
    api::Kek {
        id: kek.id,
        provider: kek.provider,
        key: kek.key_name,
        version: kek.version,
        state: kek.state.as_str().into(),
        health: broker.health.of(kek.id).map(shown_health),
        created_at: kek.created_at,
    }
}

fn shown_health(health: KekHealth) -> api::KekHealth {
    api::KekHealth {
        state: health.state.as_str().into(),
        since: health.since,
        reason: health.reason.map(str::to_owned),
    }
}

/// The tenant's KEKs.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/keks", tag = "admin", security(("admin" = ["keks:read"])), params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = Page<api::Kek>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn list(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::Kek> {
    ops::admin::require_tenant(&broker, &tenant).await?;
    let rows = keks::page(&mut *broker.store.reader().await?, &tenant, &query.after, limit(&query)?).await?;
    listed(rows, &query, |kek| kek.id.to_string(), |kek| shown_kek(&broker, kek))
}

/// Tries all that a KEK would need at its vendor, and tells which permission is missing. Registers nothing.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks/probe", tag = "admin", security(("admin" = ["keks:write"])), params(("tenant" = String, Path)),
    request_body = api::RegisterKek,
    responses((status = 200, body = api::Probe), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn probe(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::RegisterKek>,
) -> Result<Json<api::Probe>, Error> {
    detached(async move {
        let probed = ops::keks::probe(&broker, &tenant, (&ask.provider, &ask.key)).await?;
        let usable = probed.is_ok();
        let steps = probed.map_or_else(|unfit| unfit.steps, |fit| fit.steps);
        Ok(Json(api::Probe { usable, steps: steps.into_iter().map(shown_step).collect() }))
    })
    .await
}

fn shown_step(Step { call, outcome, permission }: Step) -> api::ProbeStep {
    api::ProbeStep { call: call.into(), outcome: outcome.into(), permission: permission.into() }
}

/// Takes a new version of a KEK into use. Records that were wrapped before wait for a rewrap.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks/{kek}/rotate", tag = "admin", security(("admin" = ["keks:write"])),
    params(("tenant" = String, Path), ("kek" = Uuid, Path)), request_body = api::RotateKek,
    responses((status = 201, body = api::Kek), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn rotate(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, kek)): InPath<(String, Uuid)>,
    Body(ask): Body<api::RotateKek>,
) -> Created<api::Kek> {
    detached(async move {
        let kek = ops::keks::rotate(&broker, &admin, &tenant, (kek, ask.force)).await?;
        Ok((StatusCode::CREATED, Json(shown_kek(&broker, kek))))
    })
    .await
}

/// Takes a KEK out of use. When it answers, nothing under it is released until it is enabled again.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks/{kek}/disable", tag = "admin", security(("admin" = ["keks:write"])),
    params(("tenant" = String, Path), ("kek" = Uuid, Path)), request_body = api::Because,
    responses((status = 201, body = api::Revoked), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn disable(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, kek)): InPath<(String, Uuid)>,
    Body(ask): Body<api::Because>,
) -> Created<api::Revoked> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let done = ops::keks::disable(&broker, &admin, &tenant, (kek, reason.as_str())).await?;
        Ok((StatusCode::CREATED, Json(shown_revoked(done))))
    })
    .await
}

/// Has a disabled KEK used again.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/keks/{kek}/enable", tag = "admin", security(("admin" = ["keks:write"])),
    params(("tenant" = String, Path), ("kek" = Uuid, Path)), request_body = api::Because,
    responses((status = 201, body = api::Kek), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn enable(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, kek)): InPath<(String, Uuid)>,
    Body(ask): Body<api::Because>,
) -> Created<api::Kek> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let kek = ops::keks::enable(&broker, &admin, &tenant, (kek, reason.as_str())).await?;
        Ok((StatusCode::CREATED, Json(shown_kek(&broker, kek))))
    })
    .await
}

/// One KEK, with what lies under it.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/keks/{kek}", tag = "admin", security(("admin" = ["keks:read"])),
    params(("tenant" = String, Path), ("kek" = Uuid, Path)),
    responses((status = 200, body = api::KekDetails), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn show(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, kek)): InPath<(String, Uuid)>,
) -> Result<Json<api::KekDetails>, Error> {
    let kek = ops::keks::find(&broker, &tenant, kek).await?;
    let census = wraps::census(&mut *broker.store.reader().await?, &tenant).await?;
    let held: Vec<_> = census.iter().filter(|held| held.kek == kek.id).collect();
    let shown = |held: &&Held| api::KekHoldings {
        slot: held.slot.as_str().into(),
        version: held.kek_version,
        records: held.records,
    };
    Ok(Json(api::KekDetails {
        stale: held.iter().filter(|held| held.kek_version < kek.version).map(|held| held.records).sum(),
        holdings: held.iter().map(shown).collect(),
        kek: shown_kek(&broker, kek),
    }))
}

/// Has the tenant's records wrapped under these KEKs from now on.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/protection", tag = "admin", security(("admin" = ["keks:write"])), params(("tenant" = String, Path)),
    request_body = api::Protect,
    responses((status = 201, body = api::Tenant), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn protect(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::Protect>,
) -> Created<api::Tenant> {
    detached(async move {
        let tenant = ops::keks::protect(&broker, &admin, &tenant, protection(&ask)?).await?;
        Ok((StatusCode::CREATED, Json(shown_tenant(&broker, tenant).await?)))
    })
    .await
}

fn protection(ask: &api::Protect) -> Result<Protection, Error> {
    let protection = match (ask.second_kek, ask.standby_kek) {
        (None, None) => Protection::One(ask.kek),
        (Some(second), None) => Protection::Both(ask.kek, second),
        (None, Some(standby)) => Protection::Either(ask.kek, standby),
        // One that opens alone would undo that two are needed.
        (Some(_), Some(_)) => return Err(Error::Malformed("`second_kek` and `standby_kek` exclude each other")),
    };
    let mut keks = protection.keks();
    if keks.next() == keks.next() {
        return Err(Error::Malformed("the two KEKs are one"));
    }
    Ok(protection)
}
