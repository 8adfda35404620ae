//! The admin API: users who are locked, and frozen restores.

use super::admin::{Created, Listed, Shared, limit, listed, reason};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, LocksQuery, Page, PageQuery};
use crate::error::Error;
use crate::ops::locks;
use crate::store::locks::{Holder, Lock};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::messages::Problem;

/// What keeps restores back: the tenant's own lock first.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/locks", tag = "locks", security(("admin" = ["restores:read"])),
    params(("tenant" = String, Path), LocksQuery),
    responses((status = 200, body = Page<api::Lock>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn list(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(LocksQuery { user, after, limit: most }): InQuery<LocksQuery>,
) -> Listed<api::Lock> {
    let query = PageQuery { after, limit: most };
    let found = match (&user, beyond(&query.after)?) {
        (None, after) => locks::list(&broker, &tenant, after, limit(&query)?).await?,
        (Some(user), None) => locks::of_user(&broker, &tenant, user).await?,
        (Some(_), Some(_)) => Vec::new(),
    };
    listed(found, &query, |lock| format!("{MARK}{}", lock.holder.user), shown)
}

/// Before the user in a cursor: that of the tenant's own lock must not be empty.
const MARK: char = '=';

fn beyond(after: &str) -> Result<Option<&str>, Error> {
    match (after, after.strip_prefix(MARK)) {
        ("", _) => Ok(None),
        (_, None) => Err(Error::Malformed("`after` is none that was given")),
        (_, user) => Ok(user),
    }
}

/// Locks a user's restores, or freezes the tenant's.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/locks", tag = "locks", security(("admin" = ["restores:lock"])),
    params(("tenant" = String, Path)), request_body = api::AskLock,
    responses((status = 201, body = api::Lock), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn lock(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::AskLock>,
) -> Created<api::Lock> {
    detached(async move {
        let lock = locks::lock(&broker, &admin, holder(&tenant, &ask)?, reason(&ask.reason)?.as_str()).await?;
        Ok((StatusCode::CREATED, Json(shown(lock))))
    })
    .await
}

/// Lets the restores of a user, or of the tenant, go on.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/locks/unlock", tag = "locks", security(("admin" = ["restores:unlock"])),
    params(("tenant" = String, Path)), request_body = api::AskLock,
    responses((status = 201, body = api::Thawed), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn unlock(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::AskLock>,
) -> Created<api::Thawed> {
    detached(async move {
        let index = locks::unlock(&broker, &admin, holder(&tenant, &ask)?, reason(&ask.reason)?.as_str()).await?;
        Ok((StatusCode::CREATED, Json(api::Thawed { index })))
    })
    .await
}

fn holder(tenant: &str, ask: &api::AskLock) -> Result<Holder, Error> {
    match ask.user.as_deref() {
        None => Ok(Holder::tenant(tenant)),
        Some("") => Err(Error::Malformed("`user` is no user id")),
        Some(user) => Ok(Holder::user(tenant, user)),
    }
}

fn shown(lock: Lock) -> api::Lock {
    let Lock { holder, by_admin, locked_at } = lock;
    api::Lock { user: Some(holder.user).filter(|user| !user.is_empty()), by_admin, locked_at }
}
