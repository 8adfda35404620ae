//! Getting in and out: sign-in, invitations, the own session and the own passkeys.

use super::admin::Shared;
use super::people::{name, shown_admin};
use super::request::{Admin, Answer, Body, InPath, InQuery, Peer, detached};
use crate::api;
use crate::caller::Person;
use crate::error::Error;
use crate::ops::people::{join, sign_in};
use crate::roster;
use crate::sessions::{Session, WHOLE};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use policies::admin::{Act, may};
use protocol::messages::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// `__Host-`: only this host, over TLS, for all paths (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-keyfold";

/// The session's cookie, where a request brings one.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, COOKIE)
}

/// The value of a cookie.
pub(super) fn cookie_of<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Begins to sign in with a passkey.
#[utoipa::path(post, path = "/v1/admin/sign-in", tag = "sessions", security(()), operation_id = "begin_sign_in",
    responses((status = 200, body = api::Ceremony), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn begin_sign_in(State(broker): Shared) -> Result<Json<api::Ceremony>, Error> {
    let (ceremony, options) = sign_in::begin(&broker)?;
    Ok(Json(api::Ceremony { ceremony, options, name: None }))
}

/// Signs in: the body is what `navigator.credentials.get` gave. The answer sets the session's cookie.
#[utoipa::path(post, path = "/v1/admin/sign-in/{ceremony}", tag = "sessions", security(()), operation_id = "finish_sign_in",
    params(("ceremony" = Uuid, Path)), request_body = Object,
    responses((status = 200, body = api::SignedIn), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn finish_sign_in(
    State(broker): Shared,
    InPath(ceremony): InPath<Uuid>,
    Peer(source): Peer,
    Answer(answer): Answer,
) -> Result<impl IntoResponse, Error> {
    detached(async move {
        let (cookie, session, admin) = sign_in::finish(&broker, &source, ceremony, &answer).await?;
        Ok(signed_in(&cookie, session, &admin))
    })
    .await
}

/// Takes up an invitation: the browser is to make a passkey.
#[utoipa::path(post, path = "/v1/admin/join", tag = "sessions", security(()), request_body = api::Join, operation_id = "begin_join",
    responses((status = 200, body = api::Ceremony), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn begin_join(
    State(broker): Shared,
    Peer(source): Peer,
    Body(ask): Body<api::Join>,
) -> Result<Json<api::Ceremony>, Error> {
    let own = ask.name.as_deref().map(name).transpose()?;
    let begun = join::begin(&broker, &source, (&ask.invitation, own.as_deref())).await?;
    let (ceremony, options, admin) = begun;
    Ok(Json(api::Ceremony { ceremony, options, name: Some(admin.name) }))
}

/// Keeps the first passkey and signs in: the body is what `navigator.credentials.create` gave.
#[utoipa::path(post, path = "/v1/admin/join/{ceremony}", tag = "sessions", security(()), operation_id = "finish_join",
    params(("ceremony" = Uuid, Path)), request_body = Object,
    responses((status = 200, body = api::SignedIn), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn finish_join(
    State(broker): Shared,
    InPath(ceremony): InPath<Uuid>,
    Peer(source): Peer,
    Answer(answer): Answer,
) -> Result<impl IntoResponse, Error> {
    detached(async move {
        let (cookie, session, admin) = join::finish(&broker, &source, ceremony, &answer).await?;
        Ok(signed_in(&cookie, session, &admin))
    })
    .await
}

/// Who is signed in, and until when.
#[utoipa::path(get, path = "/v1/admin/session", tag = "sessions", security(("admin" = [])), operation_id = "session",
    responses((status = 200, body = api::SignedIn), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn session(Admin(caller): Admin) -> Result<Json<api::SignedIn>, Error> {
    let Person { admin, session, .. } = caller.person()?;
    Ok(Json(shown(session.clone(), admin)))
}

/// Ends the own session.
#[utoipa::path(post, path = "/v1/admin/sign-out", tag = "sessions", security(("admin" = [])), operation_id = "sign_out",
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn sign_out(State(broker): Shared, Admin(caller): Admin) -> Result<impl IntoResponse, Error> {
    let own = caller.person()?.session.id;
    broker.sessions.end(|session| session.id == own);
    Ok((StatusCode::NO_CONTENT, set_cookie(COOKIE, "", 0)))
}

/// The own sessions.
#[utoipa::path(get, path = "/v1/admin/sessions", tag = "sessions", security(("admin" = [])), operation_id = "sessions",
    responses((status = 200, body = api::Sessions), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn sessions(State(broker): Shared, Admin(caller): Admin) -> Result<Json<api::Sessions>, Error> {
    let person = caller.person()?;
    let own = broker.sessions.of(person.admin.id, broker.clock.now());
    Ok(Json(api::Sessions { items: own.into_iter().map(|one| shown_session(one, Some(person.session.id))).collect() }))
}

/// Ends one of the own sessions.
#[utoipa::path(post, path = "/v1/admin/sessions/{session}/end", tag = "sessions", security(("admin" = [])),
    operation_id = "end_session", params(("session" = Uuid, Path)),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn end_session(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath(id): InPath<Uuid>,
) -> Result<StatusCode, Error> {
    let own = caller.person()?.admin.id;
    let ended = broker.sessions.end(|session| session.id == id && session.admin == own);
    if ended == 0 { Err(Error::NotFound) } else { Ok(StatusCode::NO_CONTENT) }
}

/// Begins to make a further passkey.
#[utoipa::path(post, path = "/v1/admin/passkeys", tag = "sessions", security(("admin" = [])), operation_id = "begin_passkey",
    responses((status = 200, body = api::Ceremony), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn begin_passkey(State(broker): Shared, Admin(caller): Admin) -> Result<Json<api::Ceremony>, Error> {
    let (ceremony, options) = join::begin_further(&broker, caller.person()?)?;
    Ok(Json(api::Ceremony { ceremony, options, name: None }))
}

/// What a further passkey is called.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Called {
    /// 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    name: String,
}

/// Keeps a further passkey: the body is what `navigator.credentials.create` gave.
#[utoipa::path(post, path = "/v1/admin/passkeys/{ceremony}", tag = "sessions", security(("admin" = [])),
    operation_id = "finish_passkey", params(("ceremony" = Uuid, Path), Called), request_body = Object,
    responses((status = 200, body = api::Admin), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn finish_passkey(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath(ceremony): InPath<Uuid>,
    InQuery(called): InQuery<Called>,
    Answer(answer): Answer,
) -> Result<Json<api::Admin>, Error> {
    detached(async move {
        let made = (ceremony, name(&called.name)?);
        let admin = join::finish_further(&broker, (caller.person()?, &caller.source), made, &answer).await?;
        Ok(Json(shown_admin(&admin)))
    })
    .await
}

/// Forgets one of the own passkeys.
#[utoipa::path(post, path = "/v1/admin/passkeys/{passkey}/remove", tag = "sessions", security(("admin" = [])),
    operation_id = "remove_passkey", params(("passkey" = String, Path)),
    responses((status = 200, body = api::Admin), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn remove_passkey(
    State(broker): Shared,
    Admin(caller): Admin,
    InPath(passkey): InPath<String>,
) -> Result<Json<api::Admin>, Error> {
    detached(async move {
        let admin = join::remove(&broker, (caller.person()?, &caller.source), &passkey).await?;
        Ok(Json(shown_admin(&admin)))
    })
    .await
}

pub(super) fn signed_in(cookie: &str, session: Session, admin: &roster::Admin) -> impl IntoResponse + use<> {
    (set_cookie(COOKIE, cookie, WHOLE / 1_000), Json(shown(session, admin)))
}

/// For this host alone, over TLS, out of reach of scripts; not sent by other sites' forms.
pub(super) fn set_cookie(name: &str, value: &str, seconds: i64) -> [(HeaderName, HeaderValue); 1] {
    let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    let cookie = HeaderValue::try_from(cookie).expect("invariant: base64url and ids are header values");
    [(header::SET_COOKIE, cookie)]
}

fn shown(session: Session, admin: &roster::Admin) -> api::SignedIn {
    let acts = Act::ALL.iter().filter(|act| may(&admin.roles, **act)).map(|act| act.as_str().into());
    api::SignedIn {
        admin: shown_admin(admin),
        session: session.id,
        expires_at: session.expires_at(),
        csrf: session.csrf,
        acts: acts.collect(),
    }
}

pub(super) fn shown_session(session: Session, current: Option<Uuid>) -> api::Session {
    api::Session {
        id: session.id,
        ip: session.ip.to_string(),
        expires_at: session.expires_at(),
        agent: session.agent,
        began_at: session.began_at,
        seen_at: session.seen_at,
        current: current == Some(session.id),
    }
}
