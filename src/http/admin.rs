//! The admin API: tenants, enrolment codes, devices, records, restores, revocations.

use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, OwnedQuery, Page, PageQuery, RestoresQuery};
use crate::broker::Broker;
use crate::commit::Target;
use crate::error::Error;
use crate::inventory::Device;
use crate::ops::{self, revoke::Revoked};
use crate::store::restores::{self, Restore};
use crate::store::tenants::Protection;
use crate::store::{records, tenants, wraps};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, response::IntoResponse};
use protocol::messages::Problem;
use protocol::names::{TenantId, Text};
use std::convert::identity;
use std::sync::Arc;
use uuid::Uuid;

pub(super) type Shared = State<Arc<Broker>>;
pub(super) type Created<T> = Result<(StatusCode, Json<T>), Error>;
pub(super) type Listed<T> = Result<Json<Page<T>>, Error>;

/// Longest code lifetime in seconds: a week.
const MAX_CODE_LIFETIME: u32 = 604_800;

/// Makes a tenant with a log and keys of its own.
#[utoipa::path(post, path = "/v1/admin/tenants", tag = "admin", security(("admin" = ["tenants:write"])), request_body = api::CreateTenant,
    responses((status = 201, body = api::Tenant), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn create_tenant(
    State(broker): Shared,
    Admin(admin): Admin,
    Body(ask): Body<api::CreateTenant>,
) -> Created<api::Tenant> {
    detached(async move {
        let id: TenantId = ask.id.parse().map_err(|_| Error::Malformed("`id` is no tenant id"))?;
        let name: Text<128> =
            ask.name.parse().map_err(|_| Error::Malformed("`name` is not 1 to 128 printable bytes"))?;
        let made = (id.as_str(), name.as_str(), ask.unattested_days);
        let tenant = ops::admin::create_tenant(&broker, &admin, made).await?;
        Ok((StatusCode::CREATED, Json(shown_tenant(&broker, tenant).await?)))
    })
    .await
}

pub(super) async fn shown_tenant(broker: &Broker, tenant: tenants::Tenant) -> Result<api::Tenant, Error> {
    let vkey = broker.keys.of_tenant(&tenant.id).await?.log.vkey();
    let (kek, second_kek, standby_kek) = match tenant.protection {
        None => (None, None, None),
        Some(Protection::One(kek)) => (Some(kek), None, None),
        Some(Protection::Both(first, second)) => (Some(first), Some(second), None),
        Some(Protection::Either(kek, standby)) => (Some(kek), None, Some(standby)),
    };
    Ok(api::Tenant {
        id: tenant.id,
        name: tenant.name,
        state: tenant.state.as_str().into(),
        kek,
        second_kek,
        standby_kek,
        unattested_days: tenant.unattested_days,
        created_at: tenant.created_at,
        vkey,
    })
}

/// The tenants.
#[utoipa::path(get, path = "/v1/admin/tenants", tag = "admin", security(("admin" = ["tenants:read"])), params(PageQuery),
    responses((status = 200, body = Page<api::Tenant>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn tenants(
    State(broker): Shared,
    _: Admin,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::Tenant> {
    let rows = tenants::page(&mut *broker.store.reader().await?, &query.after, limit(&query)?).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for tenant in rows {
        shown.push(shown_tenant(&broker, tenant).await?);
    }
    listed(shown, &query, |tenant| tenant.id.clone(), identity)
}

/// Makes a one-time enrolment code for a user.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/enrolment-codes", tag = "admin", security(("admin" = ["codes:write"])),
    params(("tenant" = String, Path)), request_body = api::CreateCode,
    responses((status = 201, body = api::Code), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn create_code(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::CreateCode>,
) -> Result<impl IntoResponse, Error> {
    detached(async move {
        let seconds = ask.seconds.unwrap_or(3_600);
        if !(60..=MAX_CODE_LIFETIME).contains(&seconds) {
            return Err(Error::Malformed("`seconds` is not 60 to 604800"));
        }
        let expires_at = broker.clock.now() + i64::from(seconds) * 1_000;
        let code = ops::admin::create_code(&broker, &admin, &tenant, (&ask.user, expires_at)).await?;
        let code = api::Code { code: code.reveal().to_string(), user: ask.user, expires_at };
        Ok((StatusCode::CREATED, Json(code)))
    })
    .await
}

/// The tenant's devices.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/devices", tag = "admin", security(("admin" = ["devices:read"])), params(("tenant" = String, Path), OwnedQuery),
    responses((status = 200, body = Page<api::Device>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn devices(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<OwnedQuery>,
) -> Listed<api::Device> {
    ops::admin::require_tenant(&broker, &tenant).await?;
    let (page, mut db) = (query.page(), broker.store.reader().await?);
    let asked = (&*page.after, usize::try_from(limit(&page)?).unwrap_or(0));
    let rows = broker.inventory.page(&mut db, (&tenant, query.user.as_deref()), asked).await?;
    listed(rows, &page, |device| device.id.to_string(), shown_device)
}

pub(super) fn shown_device(device: Device) -> api::Device {
    api::Device {
        id: device.id,
        user: device.user,
        name: device.name,
        platform: device.platform,
        state: device.state.as_str().into(),
        attested: device.attested,
        enrolled_at: device.enrolled_at,
    }
}

/// The tenant's records, without their ciphertexts.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/records", tag = "admin", security(("admin" = ["records:read"])), params(("tenant" = String, Path), OwnedQuery),
    responses((status = 200, body = Page<api::Record>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn records(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<OwnedQuery>,
) -> Listed<api::Record> {
    ops::admin::require_tenant(&broker, &tenant).await?;
    let (page, mut db) = (query.page(), broker.store.reader().await?);
    let rows = records::page(&mut db, &tenant, query.user.as_deref(), (&page.after, limit(&page)?)).await?;
    let ids: Vec<Uuid> = rows.iter().map(|record| record.id).collect();
    let wraps = wraps::of_records(&mut db, &ids).await?;
    listed(rows, &page, |record| record.id.to_string(), |record| shown_record(record, &wraps))
}

pub(super) fn shown_record(record: records::RecordSummary, wraps: &[wraps::Wrap]) -> api::Record {
    api::Record {
        keks: wraps.iter().filter(|wrap| wrap.record == record.id).map(|wrap| wrap.kek).collect(),
        id: record.id,
        user: record.user,
        kind: record.kind,
        generation: record.generation,
        device: record.device,
        created_at: record.created_at,
    }
}

/// The tenant's restores.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/restores", tag = "admin", security(("admin" = ["restores:read"])), params(("tenant" = String, Path), RestoresQuery),
    responses((status = 200, body = Page<api::Restore>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn restores(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<RestoresQuery>,
) -> Listed<api::Restore> {
    ops::admin::require_tenant(&broker, &tenant).await?;
    let (page, mut db) = (query.page(), broker.store.reader().await?);
    let state = query.state.as_deref().map(str::parse).transpose();
    let wanted = restores::Wanted {
        user: query.user.as_deref(),
        device: query.device,
        state: state.map_err(|()| Error::Malformed("there is no such `state`"))?,
        newest_first: query.newest_first,
    };
    let rows = restores::page(&mut db, &tenant, wanted, (&page.after, limit(&page)?)).await?;
    listed(rows, &page, |restore| restore.id.to_string(), shown_restore)
}

pub(super) fn shown_restore(restore: Restore) -> api::Restore {
    api::Restore {
        id: restore.id,
        user: restore.user,
        device: restore.device,
        records: restore.records,
        reason: restore.reason,
        state: restore.state.as_str().into(),
        not_before: restore.not_before,
        expires_at: restore.expires_at,
        changed_at: restore.changed_at,
    }
}

/// Takes access away for good. When it answers, nothing of the target is released any more.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/revocations", tag = "admin", security(("admin" = ["access:revoke"])), params(("tenant" = String, Path)),
    request_body = api::Revoke,
    responses((status = 201, body = api::Revoked), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn revoke(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::Revoke>,
) -> Created<api::Revoked> {
    detached(async move {
        let reason = reason(&ask.reason)?;
        let done = ops::revoke::revoke(&broker, &admin, &tenant, (target(ask.target), reason.as_str())).await?;
        Ok((StatusCode::CREATED, Json(shown_revoked(done))))
    })
    .await
}

/// What an administrator says why.
pub(super) fn reason(text: &str) -> Result<Text<512>, Error> {
    text.parse().map_err(|_| Error::Malformed("`reason` is not 1 to 512 printable bytes"))
}

pub(super) fn shown_revoked(done: Revoked) -> api::Revoked {
    api::Revoked { effective_at: done.effective_at, restores_ended: done.restores_ended }
}

fn target(target: api::Target) -> Target {
    match target {
        api::Target::Tenant => Target::Tenant,
        api::Target::User(user) => Target::User(user),
        api::Target::Device(device) => Target::Device(device),
        api::Target::Restore(restore) => Target::Restore(restore),
        api::Target::Kek(kek) => Target::Kek(kek),
    }
}

/// One more than asked for, to know whether there is a next page.
pub(super) fn limit(query: &PageQuery) -> Result<i64, Error> {
    match query.limit.unwrap_or(100) {
        limit @ 1..=1_000 => Ok(i64::from(limit) + 1),
        0 | 1_001.. => Err(Error::Malformed("`limit` is not 1 to 1000")),
    }
}

pub(super) fn listed<R, T>(
    mut rows: Vec<R>,
    query: &PageQuery,
    key: impl Fn(&R) -> String,
    show: impl Fn(R) -> T,
) -> Listed<T> {
    let limit = usize::from(query.limit.unwrap_or(100));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(key);
    Ok(Json(Page { items: rows.into_iter().map(show).collect(), next }))
}

/// A part of a list that is read as a whole, in the order of its keys.
pub(super) fn part_of<R, T>(
    mut rows: Vec<R>,
    query: &PageQuery,
    key: impl Fn(&R) -> String,
    show: impl Fn(R) -> T,
) -> Listed<T> {
    limit(query)?;
    rows.retain(|row| key(row) > query.after);
    listed(rows, query, key, show)
}
