//! A reverse proxy before a real server, that spoils answers when it is told to.

use axum::body::{Body, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// What happens to a request. Unless it says otherwise, the upstream never sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Another answer takes the place of the upstream's.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Names and values.
        headers: Vec<(&'static str, &'static str)>,
        /// The body, sent with its length.
        body: String,
    },
    /// Forwarded after this wait.
    Slow(Duration),
    /// Forwarded; the head and half of the body come back, then the connection is closed. An answer without a body is
    /// cut before its head.
    CutMidAnswer,
    /// 200 and JSON, says the head; the body is neither JSON nor text.
    Garbage,
    /// The connection is reset (TCP RST).
    Reset,
    /// Never answered; the connection stays open.
    Hang,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The path with its query, as it was sent.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A reverse proxy for HTTP/1.1 on a loopback port of its own. Ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Front {
    /// Listens before `upstream`, an address without path such as `http://127.0.0.1:8200` or `http://[::1]:4566`.
    /// Requests are forwarded with the `Host` that they came with, so signatures over it stay good.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port left");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State {
            upstream: upstream.trim_end_matches('/').to_owned(),
            http: http_client(),
            seen: Mutex::default(),
            planned: Mutex::default(),
        });
        let server = tokio::spawn(accept(listener, state.clone()));
        Self { address, state, server }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Spoils the next `times` requests with `fault`, or with `None` all until told otherwise; instead of what was
    /// planned before.
    pub fn fail(&self, times: impl Into<Option<usize>>, fault: Fault) {
        *lock(&self.state.planned) = Some((times.into(), fault));
    }

    /// Spoils nothing more.
    pub fn heal(&self) {
        *lock(&self.state.planned) = None;
    }

    /// How many requests came in, spoilt or not.
    #[must_use]
    pub fn requests(&self) -> usize {
        lock(&self.state.seen).len()
    }

    /// The requests that came in, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct State {
    upstream: String,
    http: reqwest::Client,
    seen: Mutex<Vec<Seen>>,
    /// How often (`None`: always), and what.
    planned: Mutex<Option<(Option<usize>, Fault)>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Ends all connections when this task is aborted.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, state.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| {
        let state = state.clone();
        Box::pin(async move { state.answer(request).await })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    if ended.is_err_and(|error| error.source().is_some_and(<dyn Error>::is::<Reset>)) {
        // The socket is closed without it as well, only in a friendlier way.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

impl State {
    async fn answer<B>(&self, request: Request<B>) -> Result<Response<Body>, Reset>
    where
        B: hyper::body::Body<Error = hyper::Error>,
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
        let seen = Seen { method: head.method, path, headers: head.headers, body };
        lock(&self.seen).push(seen.clone());
        match self.next_fault() {
            None => self.forward(seen).await,
            Some(Fault::Answer { status, headers, body }) => Ok(answer(status, &headers, body.into())),
            Some(Fault::Slow(wait)) => {
                sleep(wait).await;
                self.forward(seen).await
            }
            Some(Fault::CutMidAnswer) => cut(self.forward(seen).await?).await,
            Some(Fault::Garbage) => {
                Ok(answer(200, &[("content-type", "application/json")], Body::from(&b"\x00\xff{\"\x16\x03"[..])))
            }
            Some(Fault::Reset) => Err(Reset),
            Some(Fault::Hang) => pending().await,
        }
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut planned = lock(&self.planned);
        let (times, fault) = planned.as_mut()?;
        match times {
            None => Some(fault.clone()),
            Some(0) => None,
            Some(left) => {
                *left -= 1;
                Some(fault.clone())
            }
        }
    }

    /// An upstream that does not answer looks like one that hangs up.
    async fn forward(&self, request: Seen) -> Result<Response<Body>, Reset> {
        let url = format!("{}{}", self.upstream, request.path);
        let call = self.http.request(request.method, url).headers(end_to_end(request.headers)).body(request.body);
        let answer = call.send().await.map_err(|_| Reset)?;
        let (status, headers) = (answer.status(), end_to_end(answer.headers().clone()));
        let mut response = Response::new(Body::from(answer.bytes().await.map_err(|_| Reset)?));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Why a connection ends at once.
#[derive(Debug, thiserror::Error)]
#[error("reset")]
struct Reset;

/// The head of `response`, half of its body, and an end that comes too early.
async fn cut(response: Response<Body>) -> Result<Response<Body>, Reset> {
    let (mut head, body) = response.into_parts();
    let whole = body.collect().await.map_err(|_| Reset)?.to_bytes();
    if whole.is_empty() {
        return Err(Reset);
    }
    head.headers.insert(CONTENT_LENGTH, whole.len().into());
    Ok(Response::from_parts(head, Body::new(Half::Unsent(whole.slice(..whole.len() / 2)))))
}

/// A body that fails after its first frame. It pauses before, so that the frame has left by then.
enum Half {
    Unsent(Bytes),
    Sent,
    Cut,
}

impl hyper::body::Body for Half {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        match &mut *self {
            Self::Unsent(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Sent;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Sent => {
                *self = Self::Cut;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Cut => Poll::Ready(Some(Err(Reset))),
        }
    }
}

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a fault has a status of three digits");
    for (name, value) in headers {
        response.headers_mut().append(*name, http::HeaderValue::from_static(value));
    }
    response
}

/// Without what concerns one connection alone (RFC 9110, section 7.6.1): lengths are counted anew on the next.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

fn http_client() -> reqwest::Client {
    // `reqwest` panics where nobody has chosen a TLS provider. An error here means that somebody has by now.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().http1_only();
    builder.build().expect("a client without options can be built")
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nothing panics while holding this lock")
}
