//! Accepts connections: TLS 1.3, a bounded number of them, and none that dawdles.

use super::idle::Requests;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::{Request, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the TLS handshake, for the first request, and for the headers of each.
    pub headers: Duration,
    /// For requests under way when the broker is told to stop.
    pub shutdown: Duration,
}

/// What to listen on, and how.
pub struct Listener {
    /// Bound already.
    pub socket: TcpListener,
    /// Certificate and key.
    pub tls: Arc<rustls::ServerConfig>,
    /// Connections at the same time; more wait in the system's queue.
    pub max_connections: usize,
    /// How long a client may take.
    pub timeouts: Timeouts,
}

/// Serves until `stop`, then lets what is under way end.
pub async fn serve(listener: Listener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let Listener { socket, tls, max_connections, timeouts } = listener;
    let acceptor = TlsAcceptor::from(tls);
    let permits = Arc::new(Semaphore::new(max_connections));
    let builder = Arc::new(builder(timeouts));
    let graceful = Arc::new(GracefulShutdown::new());
    loop {
        let permit = permits.clone().acquire_owned().await.expect("invariant: this semaphore is never closed");
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, or the peer is gone already: give the others time to end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (acceptor, builder, router) = (acceptor.clone(), builder.clone(), router.clone());
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _permit = permit;
            let Some(stream) = handshake(&acceptor, stream, timeouts.headers).await else { return };
            let requests = Requests::default();
            let counted = requests.clone();
            let service = service_fn(move |request| counted.clone().counted(answer(router.clone(), request, peer)));
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            // A connection that breaks or idles ends; the operation it started goes on.
            tokio::select! {
                _broken = watcher.watch(connection) => {}
                () = requests.have_ended(timeouts.headers) => {}
            }
        });
    }
    drop(socket);
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _late = timeout(timeouts.shutdown, graceful.shutdown()).await;
    }
    Ok(())
}

fn builder(timeouts: Timeouts) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(timeouts.headers).max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(16)
        .max_header_list_size(16 * 1024);
    builder
}

async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    stream.set_nodelay(true).ok()?;
    timeout(limit, acceptor.accept(stream)).await.ok()?.ok()
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<axum::response::Response, std::convert::Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request.map(axum::body::Body::new)).await
}
