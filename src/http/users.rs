//! The admin API: users, and what is known of them.

use super::admin::{Created, Listed, Shared, limit, listed};
use super::request::{Admin, Body, InPath, InQuery, detached};
use crate::api::{self, Page, PageQuery};
use crate::directory::{self, Particulars, User};
use crate::error::Error;
use crate::ops::{admin::require_tenant, users};
use crate::time_zone::TimeZone;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use notices::Address;
use protocol::messages::Problem;
use protocol::names::{Text, UserId};

/// Most people directly above one.
const MAX_MANAGERS: usize = 16;

/// Makes a user.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/users", tag = "admin", security(("admin" = ["users:write"])), params(("tenant" = String, Path)),
    request_body = api::CreateUser,
    responses((status = 201, body = api::User), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn create_user(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::CreateUser>,
) -> Created<api::User> {
    detached(async move {
        let id: UserId = ask.id.parse().map_err(|_| Error::Malformed("`id` is no user id"))?;
        let (email, managers) = (address(ask.email)?, managers(ask.managers)?);
        let (time_zone, subject) = (time_zone(ask.time_zone)?, subject(ask.subject)?);
        let particulars = Particulars { email, managers, time_zone, subject };
        let user = users::create(&broker, &admin, &tenant, (&id, particulars)).await?;
        Ok((StatusCode::CREATED, Json(shown_user(user))))
    })
    .await
}

pub(super) fn shown_user(user: User) -> api::User {
    let Particulars { email, managers, time_zone, subject } = user.particulars;
    api::User {
        id: user.id,
        state: user.state.as_str().into(),
        email: email.map(String::from),
        managers: managers.into_iter().map(String::from).collect(),
        time_zone: time_zone.map(String::from),
        subject: subject.map(String::from),
        created_at: user.created_at,
    }
}

fn address(text: Option<String>) -> Result<Option<Address>, Error> {
    text.map(Address::try_from).transpose().map_err(|_| Error::Malformed("`email` is no mail address"))
}

fn managers(ids: Vec<String>) -> Result<Vec<UserId>, Error> {
    if ids.len() > MAX_MANAGERS {
        return Err(Error::Malformed("`managers` names more than 16 users"));
    }
    let ids = ids.into_iter().map(UserId::try_from).collect::<Result<_, _>>();
    ids.map_err(|_| Error::Malformed("`managers` has what is no user id"))
}

fn time_zone(name: Option<String>) -> Result<Option<TimeZone>, Error> {
    let zone = name.map(TimeZone::try_from).transpose();
    zone.map_err(|_| Error::Malformed("`time_zone` is not in the IANA time zone database"))
}

fn subject(text: Option<String>) -> Result<Option<Text<255>>, Error> {
    let subject = text.map(Text::try_from).transpose();
    subject.map_err(|_| Error::Malformed("`subject` is not 1 to 255 printable bytes"))
}

/// Has a user told elsewhere of what happens to their keys, or nowhere.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/users/{user}/email", tag = "admin", security(("admin" = ["users:write"])),
    params(("tenant" = String, Path), ("user" = String, Path)), request_body = api::SetEmail,
    responses((status = 200, body = api::User), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn set_email(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, user)): InPath<(String, String)>,
    Body(ask): Body<api::SetEmail>,
) -> Result<Json<api::User>, Error> {
    detached(async move {
        let email = address(ask.email)?;
        Ok(Json(shown_user(users::set_email(&broker, &admin, (&tenant, &user), email).await?)))
    })
    .await
}

/// Says who is directly above a user in the reporting line.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/users/{user}/managers", tag = "admin", security(("admin" = ["users:write"])),
    params(("tenant" = String, Path), ("user" = String, Path)), request_body = api::SetManagers,
    responses((status = 200, body = api::User), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn set_managers(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, user)): InPath<(String, String)>,
    Body(ask): Body<api::SetManagers>,
) -> Result<Json<api::User>, Error> {
    detached(async move {
        let managers = managers(ask.managers)?;
        Ok(Json(shown_user(users::set_managers(&broker, &admin, (&tenant, &user), managers).await?)))
    })
    .await
}

/// Says in which time zone a user's clocks are.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/users/{user}/time-zone", tag = "admin", security(("admin" = ["users:write"])),
    params(("tenant" = String, Path), ("user" = String, Path)), request_body = api::SetTimeZone,
    responses((status = 200, body = api::User), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn set_time_zone(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, user)): InPath<(String, String)>,
    Body(ask): Body<api::SetTimeZone>,
) -> Result<Json<api::User>, Error> {
    detached(async move {
        let time_zone = time_zone(ask.time_zone)?;
        Ok(Json(shown_user(users::set_time_zone(&broker, &admin, (&tenant, &user), time_zone).await?)))
    })
    .await
}

/// Says who a user is to the issuer where the tenant's users log in.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/users/{user}/subject", tag = "admin", security(("admin" = ["users:write"])),
    params(("tenant" = String, Path), ("user" = String, Path)), request_body = api::SetSubject,
    responses((status = 200, body = api::User), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn set_subject(
    State(broker): Shared,
    Admin(admin): Admin,
    InPath((tenant, user)): InPath<(String, String)>,
    Body(ask): Body<api::SetSubject>,
) -> Result<Json<api::User>, Error> {
    detached(async move {
        let subject = subject(ask.subject)?;
        Ok(Json(shown_user(users::set_subject(&broker, &admin, (&tenant, &user), subject).await?)))
    })
    .await
}

/// The tenant's users.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/users", tag = "admin", security(("admin" = ["users:read"])), params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = Page<api::User>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn users(
    State(broker): Shared,
    _: Admin,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::User> {
    require_tenant(&broker, &tenant).await?;
    let (mut db, page) = (broker.store.reader().await?, (&*query.after, limit(&query)?));
    let users = directory::page(&broker.keys, &mut db, &tenant, page).await?;
    listed(users, &query, |user| user.id.clone(), shown_user)
}
