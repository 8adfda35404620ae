//! Who may use which administrators' route. What a route needs is declared beside its handler, as the security requirement
//! of its OpenAPI operation; one layer reads it there and asks, before any handler runs.

use super::request::{Admin, read, source};
use super::sessions::cookie;
use crate::broker::Broker;
use crate::caller::{AdminCaller, Hand, Proof, administrator};
use crate::error::{Error, Refusal};
use crate::ops::people::acts::{self, Request as SignedRequest};
use crate::ops::people::break_glass;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::admin::Act;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;
use uuid::Uuid;

/// Which act this request was signed as.
const ACT: HeaderName = HeaderName::from_static("keyfold-act");
/// The WebAuthn assertion of it, as base64url of JSON.
const ASSERTION: HeaderName = HeaderName::from_static("keyfold-assertion");
/// Repeats what the session was given.
const CSRF: HeaderName = HeaderName::from_static("keyfold-csrf");
/// Longest body of a request that is signed, in bytes.
const MAX_SIGNED: usize = 64 * 1024;

/// What a route wants to know of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing: it is how one gets in.
    Nothing,
    /// Any administrator, for what is their own.
    Known,
    /// One who may do this.
    May(Act),
}

/// A route that administrators use.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) demand: Demand,
    /// What it does, in a sentence.
    pub(super) summary: String,
}

/// Every route for administrators and auditors, by method and path.
#[derive(Debug)]
pub(super) struct Routes(HashMap<(String, String), Route>);

impl Routes {
    /// # Panics
    /// When an operation declares none, or no act: a test builds this.
    pub(super) fn of(document: &OpenApi) -> Self {
        let mut routes = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in [("GET", &item.get), ("POST", &item.post)] {
                let Some(operation) = operation else { continue };
                if operation.security.is_none() && !path.starts_with(ADMIN) {
                    continue; // It is for devices or operators.
                }
                let demand =
                    Demand::of(operation).expect("invariant: every administrators' route declares what it needs");
                let summary = operation.summary.clone().unwrap_or_default();
                routes.insert((method.to_owned(), path.replace("{*", "{")), Route { demand, summary });
            }
        }
        Self(routes)
    }

    /// The route of a path, and the values of its names. Where two fit, the one with fewer names.
    pub(super) fn find(&self, method: &str, path: &str) -> Option<(&Route, Vec<(String, String)>)> {
        let fitting = self.0.iter().filter(|((of, _), _)| of == method);
        let fitting = fitting.filter_map(|((_, template), route)| Some((route, names(template, path)?)));
        fitting.min_by_key(|(_, names)| names.len())
    }

    /// `HEAD` is answered by the handlers of `GET`.
    fn get(&self, method: &Method, template: &str) -> Option<&Route> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method.as_str().to_owned(), template.replace("{*", "{")))
    }
}

/// Where the administrators' routes begin.
const ADMIN: &str = "/v1/admin/";

impl Demand {
    /// What the operation declares: `[{}]` is nothing, `[{"admin": []}]` anybody, `[{"admin": ["act"]}]` who may.
    pub(super) fn of(operation: &Operation) -> Option<Self> {
        let security = serde_json::to_value(&operation.security).ok()?;
        let [requirement] = security.as_array()?.as_slice() else { return None };
        let Some(scopes) = requirement.get("admin") else { return Some(Self::Nothing) };
        match scopes.as_array()?.as_slice() {
            [] => Some(Self::Known),
            [act] => Some(Self::May(act.as_str()?.parse().ok()?)),
            [_, _, ..] => None,
        }
    }
}

fn names(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (mut wanted, mut given, mut names) = (template.split('/'), path.split('/'), Vec::new());
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(names),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => names.push((name.to_owned(), given.to_owned())),
                None if wanted == given => {}
                None => return None,
            },
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Lets in who may use the route, as [`Admin`] for its handler. Whatever declares nothing is refused.
pub(super) async fn authorise(
    State((broker, routes)): State<(Arc<Broker>, Arc<Routes>)>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let template = request.extensions().get::<MatchedPath>().cloned();
    let route = template.and_then(|template| routes.get(request.method(), template.as_str()));
    let route = match route {
        Some(route) => route,
        None if request.uri().path().starts_with(ADMIN) => return Err(Error::NotFound),
        None => return Ok(next.run(request).await),
    };
    let (mut parts, body) = request.into_parts();
    if route.demand == Demand::Nothing {
        if parts.method != Method::GET {
            same_site(&broker, &parts.headers)?;
        }
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let caller = identify(&broker, &parts).await?;
    let (caller, body) = match route.demand {
        Demand::May(act) => {
            let tenant = tenant(&mut parts).await?;
            caller.check(act, tenant.as_deref())?;
            let passed = if act.needs_passkey() {
                signed(&broker, (caller, tenant.as_deref()), &parts, body).await?
            } else {
                (caller, body)
            };
            break_glass::tell(&broker, &passed.0, act, tenant.as_deref()).await?;
            passed
        }
        Demand::Nothing | Demand::Known => (caller, body),
    };
    parts.extensions.insert(Admin(caller));
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn identify(broker: &Broker, parts: &Parts) -> Result<AdminCaller, Error> {
    let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let goes_on = parts.headers.contains_key("last-event-id");
    let cookie = cookie(&parts.headers).map(if goes_on { Proof::Watching } else { Proof::Cookie });
    let proof = bearer.map(Proof::Bearer).or(cookie);
    let caller = administrator(broker, proof, source(parts)?).await?;
    if let Hand::Person(person) = &caller.hand
        && parts.method != Method::GET
    {
        same_site(broker, &parts.headers)?;
        let sent = parts.headers.get(CSRF).map(|value| value.as_bytes()).unwrap_or_default();
        verify_slices_are_equal(sent, person.session.csrf.as_bytes()).map_err(|_| Refusal::CrossSite)?;
    }
    Ok(caller)
}

/// A browser says where a request comes from: by Fetch Metadata, or at least by its origin. Programs say neither.
fn same_site(broker: &Broker, headers: &HeaderMap) -> Result<(), Error> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = match (said("sec-fetch-site"), said("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin == broker.public_url,
        (None, None) => true,
    };
    if own { Ok(()) } else { Err(Refusal::CrossSite.into()) }
}

/// The tenant of the path.
async fn tenant(parts: &mut Parts) -> Result<Option<String>, Error> {
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| Error::NotFound)?;
    Ok(params.iter().find(|(name, _)| *name == "tenant").map(|(_, tenant)| tenant.to_owned()))
}

/// What a person asks for must be what they signed. Tokens sign nothing: what they may do is what their scope says.
async fn signed(
    broker: &Broker,
    (mut caller, tenant): (AdminCaller, Option<&str>),
    parts: &Parts,
    body: Body,
) -> Result<(AdminCaller, Body), Error> {
    let Hand::Person(person) = &mut caller.hand else { return Ok((caller, body)) };
    let act = parts.headers.get(ACT).and_then(|value| value.to_str().ok()?.parse::<Uuid>().ok());
    let assertion = parts.headers.get(ASSERTION).and_then(|value| URL_SAFE_NO_PAD.decode(value.as_bytes()).ok());
    let (Some(act), Some(assertion)) = (act, assertion) else { return Err(Refusal::PasskeyNeeded.into()) };
    let body = read(body, MAX_SIGNED).await?;
    let path = parts.uri.path_and_query().map(|path| path.as_str()).unwrap_or_default();
    let request = SignedRequest { method: parts.method.as_str(), path, body: &body };
    let signed = acts::redeem(broker, (&*person, &caller.source), tenant, request, (act, assertion)).await?;
    person.signed = Some(signed);
    Ok((caller, Body::from(body)))
}
