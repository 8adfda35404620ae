//! Receivers of webhooks on loopback: one that takes everything and keeps nothing, one that never answers.

use crate::Failure;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::setpriority_process;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It is read and answered at once.
    Takes,
    /// It is read and refused for now: 503.
    Refuses,
    /// It is read, and no answer comes.
    Hangs,
}

/// A receiver at work; ends when it is dropped. It stands for another machine: on the load's threads, answering a busy sink
/// would be measured as the latency of restores, and so it would on the broker's CPUs if its thread did not stand back.
pub struct Receiver {
    port: u16,
    folder: TempDir,
    runtime: Option<Runtime>,
}

impl Receiver {
    /// Listens with the certificate `tls.pem`, `tls.key` of a broker's folder, whose authority is `ca.pem`.
    pub async fn start(broker: &Path, manner: Manner) -> Result<Self, Failure> {
        let folder = TempDir::new()?;
        fs::copy(broker.join("ca.pem"), folder.path().join("ca.pem"))?;
        fs::write(folder.path().join("key"), format!("whsec_{}", "A".repeat(32)))?;
        let chain = CertificateDer::pem_file_iter(broker.join("tls.pem"))?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(broker.join("tls.key"))?;
        let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("receiver")
            .on_thread_start(stand_back)
            .enable_all()
            .build()?;
        let listener = runtime.spawn(TcpListener::bind("127.0.0.1:0")).await??;
        let port = listener.local_addr()?.port();
        runtime.spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), manner));
        Ok(Self { port, folder, runtime: Some(runtime) })
    }

    /// The sink `name` of a broker's configuration that delivers here.
    pub fn section(&self, name: &str) -> String {
        let Self { port, .. } = self;
        let (ca, key) = (self.path("ca.pem"), self.path("key"));
        format!(
            "\n[[sinks]]\ntype = \"webhook\"\nname = \"{name}\"\nurl = \"https://localhost:{port}/\"\n\
             keys = [{{ file = \"{}\" }}]\n\
             connection = {{ ca = \"{}\", allow_networks = [\"127.0.0.0/8\", \"::1/128\"] }}\n",
            key.display(),
            ca.display()
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// On Linux this is the calling thread's alone.
fn stand_back() {
    if setpriority_process(None, 19).is_err() {
        eprintln!("the receiver's thread could not be niced");
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, manner: Manner) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, tls.clone(), manner));
    }
}

/// Until the client goes.
async fn serve(stream: TcpStream, tls: TlsAcceptor, manner: Manner) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let answer = service_fn(move |request: http::Request<Incoming>| answer(request, manner));
    let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(request: http::Request<Incoming>, manner: Manner) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = match manner {
        Manner::Takes => StatusCode::NO_CONTENT,
        Manner::Refuses => StatusCode::SERVICE_UNAVAILABLE,
        Manner::Hangs => pending().await,
    };
    Ok(answer)
}
