//! The public API, asked in process.

use super::refusal::Refusal;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Request, Uri, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::net::SocketAddr;
use tower::ServiceExt;
use url::Url;

/// Longest answer of the API that a page is made from, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// What says who asks; nothing else of a request for a page reaches the API.
const CREDENTIALS: [HeaderName; 3] = [header::COOKIE, header::AUTHORIZATION, header::USER_AGENT];

/// What pages are made from.
#[derive(Clone)]
pub(super) struct Site(pub(super) Router);

/// The API as whoever asks for a page may use it.
#[derive(Clone)]
pub(super) struct Api {
    router: Router,
    headers: HeaderMap,
    peer: Option<ConnectInfo<SocketAddr>>,
}

impl FromRequestParts<Site> for Api {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, Site(router): &Site) -> Result<Self, Infallible> {
        let mut headers = HeaderMap::new();
        for name in CREDENTIALS {
            // HTTP/2 may split cookies (RFC 9113, section 8.2.3).
            for value in parts.headers.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
        Ok(Self { router: router.clone(), headers, peer: parts.extensions.get().copied() })
    }
}

impl Api {
    /// What the API has at `at`.
    pub(super) async fn get<T: DeserializeOwned>(&self, at: &At) -> Result<T, Refusal> {
        serde_json::from_slice(&self.bytes(at).await?).map_err(|_| Refusal::Unreadable)
    }

    /// What the API has at `at`, or nothing where there is no such thing, or it is not for whoever asks.
    pub(super) async fn find<T: DeserializeOwned>(&self, at: &At) -> Result<Option<T>, Refusal> {
        match self.get(at).await {
            Ok(found) => Ok(Some(found)),
            Err(Refusal::Problem { status: 403 | 404, .. }) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn bytes(&self, at: &At) -> Result<Vec<u8>, Refusal> {
        let response = self.ask(at).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), MAX_ANSWER).await.map_err(|_| Refusal::Unreadable)?;
        if status.is_success() { Ok(body.into()) } else { Err(Refusal::of(status, &body)) }
    }

    async fn ask(&self, at: &At) -> Response {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = at.uri();
        *request.headers_mut() = self.headers.clone();
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// A place in the API: each part of its path is escaped.
#[derive(Debug, Clone)]
pub(super) struct At(Url);

impl At {
    /// `/v1/admin/`, and these parts.
    pub(super) fn admin(parts: &[&str]) -> Self {
        let mut url = Url::parse("http://api/v1/admin").expect("invariant: this is a URL");
        url.path_segments_mut().expect("invariant: an http URL has a path").extend(parts);
        Self(url)
    }

    /// What belongs to a tenant.
    pub(super) fn tenant(tenant: &str, parts: &[&str]) -> Self {
        Self::admin(&[&["tenants", tenant], parts].concat())
    }

    /// The same with one more member of the query; none where there is nothing to say.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.0.query_pairs_mut().append_pair(name, value);
        }
        self
    }

    /// Its path, as a browser asks for it.
    pub(super) fn path(&self) -> &str {
        self.0.path()
    }

    fn uri(&self) -> Uri {
        let path = &self.0[url::Position::BeforePath..url::Position::AfterQuery];
        path.parse().expect("invariant: path and query of a URL are a URI")
    }
}
