//! The admin API: people who administer, and API tokens.

use super::admin::{Created, Listed, Shared, part_of};
use super::request::{Admin, Body, InPath, InQuery, detached};
use super::sessions::shown_session;
use crate::api::{self, Page, PageQuery};
use crate::broker::Broker;
use crate::error::Error;
use crate::ops::people::{self, Appointment, tokens};
use crate::roster::{self, Token};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::admin::{Act, Role};
use protocol::messages::Problem;
use uuid::Uuid;

/// Longest life of a token, in days.
const MAX_DAYS: u32 = 365;
const DAY: i64 = 24 * 3_600 * 1_000;

/// Appoints a person and invites them to make a passkey.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/admins", tag = "people", security(("admin" = ["admins:write"])),
    params(("tenant" = String, Path)), request_body = api::Appoint, operation_id = "appoint",
    responses((status = 201, body = api::Invited), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn appoint(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::Appoint>,
) -> Created<api::Invited> {
    detached(async move {
        let appointment = Appointment {
            name: name(&ask.name)?,
            email: email(ask.email)?,
            roles: roles(&ask.roles)?,
            subject: ask.subject,
            user: ask.user,
        };
        Ok((StatusCode::CREATED, invited(&broker, people::appoint(&broker, &caller, &tenant, appointment).await?)))
    })
    .await
}

fn invited(broker: &Broker, (admin, invitation): (roster::Admin, String)) -> Json<api::Invited> {
    let link = format!("{}/console/join#{invitation}", broker.public_url);
    Json(api::Invited { admin: shown_admin(&admin), link })
}

/// Who administers there.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/admins", tag = "people", security(("admin" = ["admins:read"])),
    params(("tenant" = String, Path), PageQuery), operation_id = "admins",
    responses((status = 200, body = Page<api::Admin>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn admins(
    State(broker): Shared,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::Admin> {
    let admins = people::list(&broker, &tenant).await?;
    part_of(admins, &query, |admin| admin.name.clone(), |admin| shown_admin(&admin))
}

/// One of them.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/admins/{admin}", tag = "people", security(("admin" = ["admins:read"])),
    params(("tenant" = String, Path), ("admin" = Uuid, Path)), operation_id = "admin",
    responses((status = 200, body = api::Admin), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn admin(
    State(broker): Shared,
    InPath((tenant, id)): InPath<(String, Uuid)>,
) -> Result<Json<api::Admin>, Error> {
    Ok(Json(shown_admin(&people::one(&broker, &tenant, id).await?)))
}

/// Gives a person other roles.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/admins/{admin}/roles", tag = "people",
    security(("admin" = ["admins:write"])), params(("tenant" = String, Path), ("admin" = Uuid, Path)),
    request_body = api::Assign, operation_id = "assign_roles",
    responses((status = 200, body = api::Admin), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn assign(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, id)): InPath<(String, Uuid)>,
    Body(ask): Body<api::Assign>,
) -> Result<Json<api::Admin>, Error> {
    detached(async move {
        let admin = people::assign(&broker, &caller, (&tenant, id), roles(&ask.roles)?).await?;
        Ok(Json(shown_admin(&admin)))
    })
    .await
}

/// Takes a person's passkeys away and invites them anew.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/admins/{admin}/invite", tag = "people",
    security(("admin" = ["admins:write"])), params(("tenant" = String, Path), ("admin" = Uuid, Path)),
    operation_id = "invite_again",
    responses((status = 200, body = api::Invited), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn invite_again(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, id)): InPath<(String, Uuid)>,
) -> Result<Json<api::Invited>, Error> {
    detached(async move { Ok(invited(&broker, people::invite_again(&broker, &caller, &tenant, id).await?)) }).await
}

/// Ends all that a person may do, and their sessions.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/admins/{admin}/revoke", tag = "people",
    security(("admin" = ["admins:write"])), params(("tenant" = String, Path), ("admin" = Uuid, Path)),
    operation_id = "revoke_admin",
    responses((status = 200, body = api::Admin), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn revoke(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, id)): InPath<(String, Uuid)>,
) -> Result<Json<api::Admin>, Error> {
    detached(async move { Ok(Json(shown_admin(&people::revoke(&broker, &caller, &tenant, id).await?))) }).await
}

/// The sessions of a person.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/admins/{admin}/sessions", tag = "people",
    security(("admin" = ["sessions:read"])), params(("tenant" = String, Path), ("admin" = Uuid, Path)),
    operation_id = "sessions_of_admin",
    responses((status = 200, body = api::Sessions), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn sessions(
    State(broker): Shared,
    InPath((tenant, id)): InPath<(String, Uuid)>,
) -> Result<Json<api::Sessions>, Error> {
    people::find(&broker, &tenant, id).await?;
    let sessions = broker.sessions.of(id, broker.clock.now());
    Ok(Json(api::Sessions { items: sessions.into_iter().map(|session| shown_session(session, None)).collect() }))
}

/// Signs a person out everywhere.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/admins/{admin}/sessions/end", tag = "people",
    security(("admin" = ["sessions:end"])), params(("tenant" = String, Path), ("admin" = Uuid, Path)),
    operation_id = "end_sessions_of_admin",
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn end_sessions(
    State(broker): Shared,
    InPath((tenant, id)): InPath<(String, Uuid)>,
) -> Result<StatusCode, Error> {
    people::find(&broker, &tenant, id).await?;
    broker.sessions.end(|session| session.admin == id);
    Ok(StatusCode::NO_CONTENT)
}

/// Makes an API token: shown once.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/tokens", tag = "people", security(("admin" = ["tokens:write"])),
    params(("tenant" = String, Path)), request_body = api::CreateToken, operation_id = "create_token",
    responses((status = 201, body = api::Token), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn create_token(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath(tenant): InPath<String>,
    Body(ask): Body<api::CreateToken>,
) -> Created<api::Token> {
    detached(async move {
        if !(1..=MAX_DAYS).contains(&ask.days) {
            return Err(Error::Malformed("`days` is not 1 to 365"));
        }
        let expires_at = broker.clock.now() + i64::from(ask.days) * DAY;
        let asked = (name(&ask.name)?, acts(&ask.acts)?, expires_at);
        let (token, sent) = tokens::create(&broker, &caller, &tenant, asked).await?;
        Ok((StatusCode::CREATED, Json(api::Token { token: Some(sent), ..shown_token(token) })))
    })
    .await
}

/// The API tokens that count there.
#[utoipa::path(get, path = "/v1/admin/tenants/{tenant}/tokens", tag = "people", security(("admin" = ["tokens:read"])),
    params(("tenant" = String, Path), PageQuery), operation_id = "tokens",
    responses((status = 200, body = Page<api::Token>), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn tokens(
    State(broker): Shared,
    InPath(tenant): InPath<String>,
    InQuery(query): InQuery<PageQuery>,
) -> Listed<api::Token> {
    part_of(tokens::list(&broker, &tenant).await?, &query, |token| token.id.to_string(), shown_token)
}

/// Ends an API token.
#[utoipa::path(post, path = "/v1/admin/tenants/{tenant}/tokens/{token}/revoke", tag = "people",
    security(("admin" = ["tokens:write"])), params(("tenant" = String, Path), ("token" = Uuid, Path)),
    operation_id = "revoke_token",
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn revoke_token(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath((tenant, id)): InPath<(String, Uuid)>,
) -> Result<StatusCode, Error> {
    detached(async move {
        tokens::revoke(&broker, &caller, &tenant, id).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// What people, tokens and passkeys are called.
pub(super) fn name(name: &str) -> Result<String, Error> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let valid = (1..=64).contains(&name.len()) && name.bytes().all(fits);
    if valid { Ok(name.into()) } else { Err(Error::Malformed("`name` is not 1 to 64 of a-z, 0-9, `.`, `_`, `-`")) }
}

/// Enough that nothing else than an address gets into a header; whether it exists, only a mail can tell.
fn email(email: Option<String>) -> Result<Option<String>, Error> {
    let valid = |email: &str| {
        let (user, domain) = email.split_once('@').unwrap_or_default();
        email.len() <= 254
            && email.bytes().all(|byte| byte.is_ascii_graphic())
            && !user.is_empty()
            && !domain.is_empty()
    };
    match email {
        Some(email) if !valid(&email) => Err(Error::Malformed("`email` is no e-mail address")),
        email => Ok(email),
    }
}

fn roles(words: &[String]) -> Result<Vec<Role>, Error> {
    let roles: Result<Vec<Role>, _> = words.iter().map(|word| word.parse()).collect();
    let roles = roles.map_err(|_| Error::Malformed("`roles` has a word that is no role"))?;
    if roles.is_empty() { Err(Error::Malformed("`roles` is empty")) } else { Ok(roles) }
}

fn acts(words: &[String]) -> Result<Vec<Act>, Error> {
    let acts: Result<Vec<Act>, _> = words.iter().map(|word| word.parse()).collect();
    let acts = acts.map_err(|_| Error::Malformed("`acts` has a word that is no act"))?;
    if acts.is_empty() { Err(Error::Malformed("`acts` is empty")) } else { Ok(acts) }
}

pub(super) fn shown_admin(admin: &roster::Admin) -> api::Admin {
    let passkey = |passkey: &identity::passkey::Passkey| api::Passkey {
        id: passkey.id(),
        name: passkey.name.clone(),
        attested: passkey.is_attested(),
    };
    api::Admin {
        id: admin.id,
        tenant: admin.tenant.clone(),
        name: admin.name.clone(),
        email: admin.email.clone(),
        roles: admin.roles.iter().map(|role| role.as_str().into()).collect(),
        subject: admin.subject.clone(),
        user: admin.user.clone(),
        state: admin.state.as_str().into(),
        passkeys: admin.passkeys.iter().map(passkey).collect(),
        created_at: admin.created_at,
    }
}

fn shown_token(token: Token) -> api::Token {
    api::Token {
        id: token.id,
        name: token.name,
        acts: token.acts.iter().map(|act| act.as_str().into()).collect(),
        made_by: token.made_by,
        created_at: token.created_at,
        expires_at: token.expires_at,
        token: None,
    }
}
