//! Single sign-on, and logout by the issuer's word.

use super::admin::Shared;
use super::request::{Body, Form, InPath, Peer, detached};
use super::sessions::{cookie_of, set_cookie, signed_in};
use crate::api;
use crate::error::Error;
use crate::ops::people::sso;
use crate::pending::LIFETIME;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use identity::oidc::Callback;
use protocol::messages::Problem;

/// Which login the browser has begun: another browser cannot end it.
const COOKIE: &str = "__Host-keyfold-sso";

/// Begins to sign on: where the browser has to go.
#[utoipa::path(post, path = "/v1/admin/sso", tag = "sessions", security(()), request_body = api::BeginSignOn,
    operation_id = "begin_sign_on",
    responses((status = 200, body = api::SignOn), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn begin(
    State(broker): Shared,
    Body(ask): Body<api::BeginSignOn>,
) -> Result<impl IntoResponse, Error> {
    let (ceremony, url) = sso::begin(&broker, &ask.tenant).await?;
    let cookie = set_cookie(COOKIE, &ceremony.to_string(), LIFETIME / 1_000);
    Ok((cookie, Json(api::SignOn { url: url.into() })))
}

/// Signs on with what the issuer has sent the browser back with. The answer sets the session's cookie.
#[utoipa::path(post, path = "/v1/admin/sso/callback", tag = "sessions", security(()), request_body = api::SignOnCallback,
    operation_id = "finish_sign_on",
    responses((status = 200, body = api::SignedIn), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn finish(
    State(broker): Shared,
    Peer(source): Peer,
    headers: HeaderMap,
    Body(ask): Body<api::SignOnCallback>,
) -> Result<impl IntoResponse, Error> {
    let ceremony = cookie_of(&headers, COOKIE).and_then(|value| value.parse().ok());
    let callback = Callback { state: ask.state, code: ask.code, iss: ask.iss };
    detached(async move {
        let (cookie, session, admin) = sso::finish(&broker, &source, ceremony, &callback).await?;
        Ok(signed_in(&cookie, session, &admin))
    })
    .await
}

/// Ends sessions by the issuer's word (OpenID Connect Back-Channel Logout 1.0).
#[utoipa::path(post, path = "/v1/admin/sso/{tenant}/logout", tag = "sessions", security(()),
    params(("tenant" = String, Path)), operation_id = "back_channel_logout",
    request_body(content = api::BackChannelLogout, content_type = "application/x-www-form-urlencoded"),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn logout(
    State(broker): Shared,
    InPath(tenant): InPath<String>,
    Form(ask): Form<api::BackChannelLogout>,
) -> Result<StatusCode, Error> {
    sso::logout(&broker, &tenant, &ask.logout_token).await?;
    Ok(StatusCode::NO_CONTENT)
}
