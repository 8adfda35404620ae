//! What handlers take: a signed request, an administrator, where it came from.

use crate::broker::Broker;
use crate::caller::{AdminCaller, SignedRequest, Source};
use crate::error::Error;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{HeaderMap, header, request::Parts};
use protocol::jws::{CONTENT_TYPE, MAX_BODY};
use protocol::names::TenantId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A body that takes longer than this is not waited for.
pub(super) const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Longest body of an admin request, in bytes.
const MAX_ADMIN_BODY: usize = 64 * 1024;
/// Longest `User-Agent` that is kept, in bytes.
const MAX_AGENT: usize = 200;

/// A request that a device signed; whether it really did is for [`crate::caller`] to say.
pub(super) struct Signed(pub(super) SignedRequest);

impl FromRequest<Arc<Broker>> for Signed {
    type Rejection = Error;

    async fn from_request(request: Request, _: &Arc<Broker>) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let tenant = tenant(&mut parts).await?;
        let source = source(&parts)?;
        let jose = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == CONTENT_TYPE);
        if !jose {
            return Err(Error::Malformed("the content type must be application/jose+json"));
        }
        let path = parts.uri.path().to_owned();
        Ok(Self(SignedRequest { tenant, path, body: read(body, MAX_BODY).await?, source }))
    }
}

async fn tenant(parts: &mut Parts) -> Result<TenantId, Error> {
    let InPath(names) = InPath::<HashMap<String, String>>::from_request_parts(parts, &()).await?;
    names.get("tenant").and_then(|tenant| tenant.parse().ok()).ok_or(Error::NotFound)
}

pub(super) fn source(parts: &Parts) -> Result<Source, Error> {
    let ConnectInfo(peer): &ConnectInfo<SocketAddr> = parts.extensions.get().ok_or(Error::Interrupted)?;
    Ok(Source { ip: peer.ip(), agent: agent(&parts.headers) })
}

fn agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(agent.chars().take(MAX_AGENT).collect())
}

pub(super) async fn read(body: axum::body::Body, max: usize) -> Result<Vec<u8>, Error> {
    let read = timeout(BODY_DEADLINE, to_bytes(body, max)).await;
    let bytes = read.map_err(|_| Error::Malformed("the body came too slowly"))?;
    Ok(bytes.map_err(|_| protocol::jws::JwsError::TooLong)?.into())
}

/// The names in the path; a path that does not parse leads nowhere.
pub(super) struct InPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(names) = Path::<T>::from_request_parts(parts, state).await.map_err(|_| Error::NotFound)?;
        Ok(Self(names))
    }
}

/// The query; an unknown or malformed member is refused.
pub(super) struct InQuery<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for InQuery<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|_| Error::Malformed("the query is not what this route takes"))
    }
}

/// Somebody with a browser, proven by nothing but what the path says; counted by address.
pub(super) struct Visitor(pub(super) Source);

impl FromRequestParts<Arc<Broker>> for Visitor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self, Error> {
        let source = source(parts)?;
        broker.limits.count_visit(source.ip)?;
        Ok(Self(source))
    }
}

/// An administrator who was let in; [`super::authorisation`] does that, and without it nobody is.
#[derive(Clone)]
pub(super) struct Admin(pub(super) AdminCaller);

impl FromRequestParts<Arc<Broker>> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Broker>) -> Result<Self, Error> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::Unproven)
    }
}

/// Where a request came from.
pub(super) struct Peer(pub(super) Source);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        source(parts).map(Self)
    }
}

/// What a browser's authenticator answered: JSON that only the library reads.
pub(super) struct Answer(pub(super) Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Answer {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let bytes = read(request.into_body(), identity::passkey::MAX_ANSWER).await?;
        let _object: Map<String, Value> = protocol::encoding::from_json(&bytes)?;
        Ok(Self(bytes))
    }
}

/// The JSON body of an admin request.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Broker>> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &Arc<Broker>) -> Result<Self, Error> {
        let bytes = read(request.into_body(), MAX_ADMIN_BODY).await?;
        Ok(Self(protocol::encoding::from_json(&bytes)?))
    }
}

/// A form, as programs of other houses send it.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, read(body, MAX_ADMIN_BODY).await?.into());
        let form = axum::Form::<T>::from_request(request, state).await;
        form.map(|axum::Form(form)| Self(form)).map_err(|_| Error::Malformed("the body is not the form of this route"))
    }
}

/// Runs an operation to its end, also when the client hangs up in the middle.
pub(super) async fn detached<T: Send + 'static>(
    operation: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(operation).await.unwrap_or(Err(Error::Interrupted))
}
