//! The table of contents: one line per route.

use super::answers::problems;
use super::authorisation::{Routes, authorise};
use super::operations::Health;
use super::request::read;
use super::{
    activity, acts, admin, approvals, destructions, devices, drills, erasures, exports, findings, import, keks, locks,
    log, lookup, operations, people, policies, records, restores, rewraps, sessions, sinks, sso, users, veto,
};
use crate::broker::Broker;
use crate::error::Error;
use ::metrics::{counter, histogram};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use protocol::jws::MAX_BODY;
use std::sync::Arc;
use std::time::Instant;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, PathItem, RefOr};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

fn routes() -> OpenApiRouter<Arc<Broker>> {
    let administrators =
        of_tenants().merge(of_keks()).merge(of_sinks()).merge(of_people_who_administer()).merge(of_policies());
    of_devices_and_people().merge(administrators).merge(of_auditors_and_operators())
}

fn of_devices_and_people() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(operations::nonce))
        .routes(routes!(devices::enrol))
        .routes(routes!(devices::status))
        .routes(routes!(devices::records))
        .routes(routes!(records::wrap))
        .routes(routes!(restores::open))
        .routes(routes!(restores::status))
        .routes(routes!(restores::release))
        .routes(routes!(restores::acknowledge))
        .routes(routes!(restores::veto))
        .routes(routes!(restores::approve))
        .routes(routes!(veto::page, veto::stop))
}

fn of_tenants() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(admin::create_tenant, admin::tenants))
        .routes(routes!(users::create_user, users::users))
        .routes(routes!(users::set_email))
        .routes(routes!(users::set_managers))
        .routes(routes!(users::set_time_zone))
        .routes(routes!(users::set_subject))
        .routes(routes!(erasures::erase))
        .routes(routes!(admin::create_code))
        .routes(routes!(lookup::user))
        .routes(routes!(admin::devices))
        .routes(routes!(lookup::device))
        .routes(routes!(admin::records))
        .routes(routes!(lookup::record))
        .routes(routes!(admin::restores))
        .routes(routes!(lookup::restore))
        .routes(routes!(locks::lock, locks::list))
        .routes(routes!(locks::unlock))
        .routes(routes!(approvals::approvals))
        .routes(routes!(approvals::decide))
        .routes(routes!(lookup::search))
        .routes(routes!(activity::hours))
        .routes(routes!(activity::stream))
        .routes(routes!(admin::revoke))
}

fn of_keks() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(keks::register, keks::list))
        .routes(routes!(keks::protect))
        .routes(routes!(keks::show))
        .routes(routes!(keks::probe))
        .routes(routes!(keks::rotate))
        .routes(routes!(keks::disable))
        .routes(routes!(keks::enable))
        .routes(routes!(destructions::request))
        .routes(routes!(destructions::list))
        .routes(routes!(destructions::confirm))
        .routes(routes!(destructions::cancel))
        .routes(routes!(import::parameters))
        .routes(routes!(import::import))
        .routes(routes!(rewraps::start, rewraps::list))
        .routes(routes!(rewraps::progress, rewraps::step))
        .routes(routes!(drills::drill))
}

fn of_sinks() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(sinks::list))
        .routes(routes!(sinks::test))
        .routes(routes!(sinks::pause))
        .routes(routes!(sinks::resume))
        .routes(routes!(sinks::replay))
        .routes(routes!(sinks::give_up))
        .routes(routes!(sinks::dead_letters))
        .routes(routes!(sinks::redeliver))
        .routes(routes!(findings::list))
        .routes(routes!(findings::dry_run))
}

fn of_people_who_administer() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(sessions::begin_sign_in))
        .routes(routes!(sessions::finish_sign_in))
        .routes(routes!(sso::begin))
        .routes(routes!(sso::finish))
        .routes(routes!(sso::logout))
        .routes(routes!(sessions::begin_join))
        .routes(routes!(sessions::finish_join))
        .routes(routes!(sessions::session))
        .routes(routes!(sessions::sign_out))
        .routes(routes!(sessions::sessions))
        .routes(routes!(sessions::end_session))
        .routes(routes!(sessions::begin_passkey))
        .routes(routes!(sessions::finish_passkey))
        .routes(routes!(sessions::remove_passkey))
        .routes(routes!(acts::begin))
        .routes(routes!(people::appoint, people::admins))
        .routes(routes!(people::admin))
        .routes(routes!(people::assign))
        .routes(routes!(people::invite_again))
        .routes(routes!(people::revoke))
        .routes(routes!(people::sessions))
        .routes(routes!(people::end_sessions))
        .routes(routes!(people::create_token, people::tokens))
        .routes(routes!(people::revoke_token))
}

fn of_policies() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(policies::draft, policies::list))
        .routes(routes!(policies::in_force))
        .routes(routes!(policies::ready))
        .routes(routes!(policies::validate))
        .routes(routes!(policies::dry_run))
        .routes(routes!(policies::roll_back))
        .routes(routes!(policies::show))
        .routes(routes!(policies::propose))
        .routes(routes!(policies::activate))
        .routes(routes!(policies::withdraw))
}

fn of_auditors_and_operators() -> OpenApiRouter<Arc<Broker>> {
    OpenApiRouter::new()
        .routes(routes!(exports::export))
        .routes(routes!(log::standing))
        .routes(routes!(log::events))
        .routes(routes!(log::event))
        .routes(routes!(log::checkpoint))
        .routes(routes!(log::witnessed))
        .routes(routes!(log::thaw))
        .routes(routes!(log::tile))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
}

/// This API as OpenAPI 3.1, generated from the handlers.
#[must_use]
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new().title("Keyfold").version(env!("CARGO_PKG_VERSION")).build();
    let router = OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build()).merge(routes());
    let mut document = router.into_openapi();
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(described).collect();
    document
}

/// What OpenAPI 3.1 wants besides: words for each answer, an id of its own for each operation, and no wildcards; and which
/// problems each route answers.
fn described((path, mut item): (String, PathItem)) -> (String, PathItem) {
    for (method, operation) in [("get", &mut item.get), ("post", &mut item.post)] {
        let Some(operation) = operation else { continue };
        let named = operation.tags.iter().flatten().chain(&operation.operation_id).map(String::as_str);
        operation.operation_id = Some(named.collect::<Vec<_>>().join("_"));
        let problems = problems((method, &path), operation);
        let responses = &mut operation.responses.responses;
        responses.retain(|status, _| !status.ends_with("XX"));
        for (status, answer) in responses.iter_mut() {
            if let RefOr::T(answer) = answer {
                answer.description = meaning(status).into();
            }
        }
        responses.extend(problems);
    }
    (path.replace("{*", "{"), item)
}

fn meaning(status: &str) -> &'static str {
    status.parse().ok().and_then(|code: StatusCode| code.canonical_reason()).unwrap_or("An answer")
}

/// All routes, ready to be served.
pub fn router(broker: Arc<Broker>, health: Health) -> Router {
    let (router, document) = routes().split_for_parts();
    let demands = Arc::new(Routes::of(&document));
    router
        .route("/openapi.json", get(operations::document))
        .fallback(|| async { Error::NotFound })
        .method_not_allowed_fallback(|| async { Error::NotFound })
        .layer(from_fn_with_state((broker.clone(), demands.clone()), authorise))
        .layer(Extension(demands))
        .layer(from_fn(whole))
        .layer(from_fn_with_state(broker.clone(), with_nonce))
        .layer(from_fn(measured))
        .layer(Extension(health))
        .with_state(broker)
}

/// Reads the body before anything answers. To close a connection over unread bytes resets it, and the client might never see
/// the answer (RFC 9112, section 9.6).
async fn whole(request: Request, next: Next) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let body = read(body, MAX_BODY).await?;
    Ok(next.run(Request::from_parts(parts, body.into())).await)
}

/// Every answer carries a fresh nonce, so that no request needs one of its own to get one (RFC 8555, section 6.5).
async fn with_nonce(State(broker): State<Arc<Broker>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/v1/") && !request.uri().path().starts_with("/v1/admin/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if is_api {
        let nonce = HeaderValue::try_from(broker.nonces.issue(broker.clock.now()));
        headers.insert(HeaderName::from_static("replay-nonce"), nonce.expect("invariant: base64url is a header value"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Counts and times each route; the label is the route, never the path.
async fn measured(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let status = response.status().as_u16().to_string();
    counter!("keyfold_requests_total", "route" => route.clone(), "status" => status).increment(1);
    histogram!("keyfold_request_seconds", "route" => route).record(started.elapsed());
    response
}
