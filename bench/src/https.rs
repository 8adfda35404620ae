//! The leanest client: HTTP/1.1 over one TLS 1.3 connection that is kept alive. Both servers are asked through it.

use crate::Failure;
use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const HOST: &str = "localhost";

/// A server on the loopback, and the only authority that may vouch for it.
#[derive(Clone)]
pub struct Endpoint {
    port: u16,
    tls: Arc<ClientConfig>,
}

impl Endpoint {
    /// The server on `port` whose certificate the authorities in `ca`, PEM, vouch for.
    pub fn new(port: u16, ca: &Path) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        Ok(Self { port, tls: Arc::new(builder.with_no_client_auth()) })
    }

    /// `https://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("https://{HOST}:{}", self.port)
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(self.tls.clone()).connect(ServerName::try_from(HOST)?, stream).await?;
        Connection::over(stream).await
    }
}

/// One kept connection; one request at a time.
pub struct Connection(SendRequest<Full<Bytes>>);

/// A successful answer.
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Connection {
    /// Without TLS, to `http://host:port` on the loopback: the setting up of an emulator.
    pub async fn plain(url: &str) -> Result<Self, Failure> {
        let address = url.strip_prefix("http://").ok_or("not an address of plain HTTP")?;
        Self::over(TcpStream::connect(address).await?).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, Failure> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request and reads the answer; any status but 2xx is a failure.
    pub async fn send(&mut self, request: http::request::Builder, body: Vec<u8>) -> Result<Answer, Failure> {
        let request: Request<_> = request.header(header::HOST, HOST).body(Full::from(body))?;
        let path = request.uri().path().to_owned();
        self.0.ready().await?;
        let (parts, body) = self.0.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if parts.status.is_success() {
            Ok(Answer { headers: parts.headers, body })
        } else {
            Err(format!("{path}: {}: {}", parts.status, String::from_utf8_lossy(&body)).into())
        }
    }
}
