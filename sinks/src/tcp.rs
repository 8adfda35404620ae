//! What receivers with a protocol of their own share: a TCP connection, with TLS unless it stays on this machine.

use crate::{PauseReason, Trouble};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use secret::Secret;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// What was sent and is not acknowledged by the other side's TCP for so long breaks the connection, in milliseconds.
const UNACKNOWLEDGED_MS: u32 = 30_000;

/// Where a receiver listens: `host:port`, `[IPv6]:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not host:port")]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.is_empty() || (bare.is_none() && host.contains(':')) {
            return Err(invalid());
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| invalid())? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What keeps others from reading along.
#[derive(Debug)]
pub enum Security {
    /// TLS 1.2 or later; the server's certificate must be for the address's host.
    Tls {
        /// The only certificate authorities to trust, PEM; the system's where there are none.
        ca_pem: Option<Vec<u8>>,
        /// The client's certificate chain and its private key, PEM.
        identity_pem: Option<Secret>,
    },
    /// Nothing: allowed to loopback addresses only.
    Plaintext,
}

/// Certificates or keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTls {
    /// No PEM, or not what is needed in it.
    #[error("not a PEM file with what is needed")]
    Pem(#[from] pem::Error),
    /// There is no authority to trust.
    #[error("no certificate authority to trust")]
    NoAuthority,
    /// Authorities, certificate or key are malformed, or do not belong together.
    #[error("the certificates or the key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// Connects, always in the same way.
pub(crate) struct Connector {
    /// `None` is plaintext.
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(crate) fn new(security: &Security) -> Result<Self, InvalidTls> {
        Ok(Self {
            tls: match security {
                Security::Tls { ca_pem, identity_pem } => {
                    Some(Arc::new(client_config(ca_pem.as_deref(), identity_pem.as_ref())?).into())
                }
                Security::Plaintext => None,
            },
        })
    }

    pub(crate) async fn connect(&self, address: &Address) -> Result<Connection, Trouble> {
        let addresses: Vec<_> =
            lookup_host((address.host.as_str(), address.port)).await.map_err(|error| trouble(&error))?.collect();
        let Some(tls) = &self.tls else {
            if addresses.iter().any(|address| !address.ip().is_loopback()) {
                return Err(Trouble::Paused(PauseReason::Forbidden));
            }
            return Ok(Connection(Either::Right(connect_tcp(&addresses).await?)));
        };
        let not_a_name = |_: InvalidDnsNameError| Trouble::Paused(PauseReason::NotFound);
        let name = ServerName::try_from(address.host.clone()).map_err(not_a_name)?;
        let tcp = connect_tcp(&addresses).await?;
        let stream = tls.connect(name, tcp).await.map_err(|error| trouble(&error))?;
        Ok(Connection(Either::Left(Box::new(stream))))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("tls", &self.tls.is_some()).finish()
    }
}

fn client_config(ca_pem: Option<&[u8]>, identity_pem: Option<&Secret>) -> Result<ClientConfig, InvalidTls> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(authorities(ca_pem)?);
    let Some(pem) = identity_pem else { return Ok(builder.with_no_client_auth()) };
    #[expect(clippy::disallowed_methods, reason = "TLS proves with the key who the broker is")]
    let pem = pem.expose();
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    Ok(builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pem)?)?)
}

fn authorities(pem: Option<&[u8]>) -> Result<RootCertStore, InvalidTls> {
    let mut store = RootCertStore::empty();
    match pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                store.add(certificate?)?;
            }
        }
        // Systems ship authorities that no strict parser takes.
        None => drop(store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if store.is_empty() { Err(InvalidTls::NoAuthority) } else { Ok(store) }
}

async fn connect_tcp(addresses: &[SocketAddr]) -> Result<TcpStream, Trouble> {
    let tcp = TcpStream::connect(addresses).await.map_err(|error| trouble(&error))?;
    // Batches are written in one go: there is nothing to wait for.
    tcp.set_nodelay(true).map_err(|error| trouble(&error))?;
    let bounded = rustix::net::sockopt::set_tcp_user_timeout(&tcp, UNACKNOWLEDGED_MS);
    bounded.map_err(|error| trouble(&error.into()))?;
    Ok(tcp)
}

/// An open connection.
pub(crate) struct Connection(Either<Box<TlsStream<TcpStream>>, TcpStream>);

impl Connection {
    /// Fails when the other side has closed or refused the connection, or does so within `wait`.
    pub(crate) async fn watch(&mut self, wait: Duration) -> Result<(), Trouble> {
        let closed = poll_fn(|cx| poll_closed(Pin::new(&mut self.0), cx));
        timeout(wait, closed).await.map_or(Ok(()), |error| Err(trouble(&error)))
    }

    /// Writes all of it out to the system.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.0.write_all(bytes).await.map_err(|error| trouble(&error))?;
        self.0.flush().await.map_err(|error| trouble(&error))
    }

    pub(crate) async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), Trouble> {
        self.0.read_exact(bytes).await.map(drop).map_err(|error| trouble(&error))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("tls", &matches!(self.0, Either::Left(_))).finish()
    }
}

/// RFC 8446, section 6.1 and RFC 5425, section 4.4: say goodbye, so that the end is no truncation.
impl Drop for Connection {
    fn drop(&mut self) {
        let Either::Left(tls) = &mut self.0 else { return };
        let (tcp, session) = tls.get_mut();
        session.send_close_notify();
        let mut records = Vec::new();
        if session.write_tls(&mut records).is_ok() {
            let _nobody_waits_for_it = tcp.try_write(&records);
        }
    }
}

/// Ready when the connection is closed or broken; what arrives is dropped, for nothing is expected.
fn poll_closed<S: AsyncRead>(mut stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Error> {
    let mut unexpected = [0; 256];
    loop {
        let mut buffer = ReadBuf::new(&mut unexpected);
        match stream.as_mut().poll_read(cx, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(error),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Ok(())) => {}
        }
    }
}

/// Distrust does not pass by itself; the network's troubles do, and so do the server's own.
pub(crate) fn trouble(error: &io::Error) -> Trouble {
    tracing::debug!(error = error as &dyn std::error::Error, "a connection failed");
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        None | Some(rustls::Error::AlertReceived(AlertDescription::InternalError)) => Trouble::Retry { after: None },
        Some(_) => Trouble::Paused(PauseReason::Tls),
    }
}
