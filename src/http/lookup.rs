//! The admin API: one thing by its id, and searches.

use super::admin::{Shared, shown_device, shown_record, shown_restore};
use super::request::{Admin, InPath, InQuery};
use super::users::shown_user;
use crate::api::{self, SearchQuery};
use crate::error::Error;
use crate::ops::lookup::{self, Hit};
use axum::Json;
use axum::extract::State;
use protocol::messages::Problem;
use uuid::Uuid;

/// Longest text that is searched for, in bytes.
const MAX_QUERY: usize = 300;

/// One user.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/users/{user}", tag = "admin", security(("admin" = ["users:read"])),
    params(("tenant" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = api::User), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn user(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, user)): InPath<(String, String)>,
) -> Result<Json<api::User>, Error> {
    Ok(Json(shown_user(lookup::user(&broker, &tenant, &user).await?)))
}

/// One device.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/devices/{device}", tag = "admin", security(("admin" = ["devices:read"])),
    params(("tenant" = String, Path), ("device" = Uuid, Path)),
    responses((status = 200, body = api::Device), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn device(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, device)): InPath<(String, Uuid)>,
) -> Result<Json<api::Device>, Error> {
    Ok(Json(shown_device(lookup::device(&broker, &tenant, device).await?)))
}

/// One record, without its ciphertexts.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/records/{record}", tag = "admin", security(("admin" = ["records:read"])),
    params(("tenant" = String, Path), ("record" = Uuid, Path)),
    responses((status = 200, body = api::Record), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn record(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, record)): InPath<(String, Uuid)>,
) -> Result<Json<api::Record>, Error> {
    let (record, wraps) = lookup::record(&broker, &tenant, record).await?;
    Ok(Json(shown_record(record, &wraps)))
}

/// One restore.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/restores/{restore}", tag = "admin", security(("admin" = ["restores:read"])),
    params(("tenant" = String, Path), ("restore" = Uuid, Path)),
    responses((status = 200, body = api::Restore), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn restore(
    State(broker): Shared,
    _: Admin,
    InPath((tenant, restore)): InPath<(String, Uuid)>,
) -> Result<Json<api::Restore>, Error> {
    Ok(Json(shown_restore(lookup::restore(&broker, &tenant, restore).await?)))
}

/// What of the tenant has an id: users, devices, records, restores, KEKs, rewraps, events.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/search", tag = "admin", security(("admin" = ["tenants:read"])),
    params(("tenant" = String, Path), SearchQuery),
    responses((status = 200, body = api::Hits), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn search(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<SearchQuery>,
) -> Result<Json<api::Hits>, Error> {
    if query.q.is_empty() || query.q.len() > MAX_QUERY {
        return Err(Error::Malformed("`q` is not 1 to 300 characters"));
    }
    let hits = lookup::search(&broker, &tenant, &query.q).await?;
    Ok(Json(api::Hits { hits: hits.into_iter().map(shown_hit).collect() }))
}

fn shown_hit(hit: Hit) -> api::Hit {
    match hit {
        Hit::User(id) => api::Hit::User(id),
        Hit::Device(id) => api::Hit::Device(id),
        Hit::Record(id) => api::Hit::Record(id),
        Hit::Restore(id) => api::Hit::Restore(id),
        Hit::Kek(id) => api::Hit::Kek(id),
        Hit::Rewrap(id) => api::Hit::Rewrap(id),
        Hit::Event(index) => api::Hit::Event(index),
    }
}
