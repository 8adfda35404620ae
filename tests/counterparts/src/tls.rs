//! TLS on loopback, before a [`Front`] that speaks plain HTTP.

use crate::front::Front;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A certificate authority of its own.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a key and a certificate for it.
    ///
    /// # Panics
    /// Never: keys and certificates can be made.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = CertificateParams::default();
        // A name of its own: OpenSSL takes a certificate whose issuer has its name for self-signed.
        params.distinguished_name.push(DnType::CommonName, "counterparts");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("a certificate can be made");
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        Self { certificate, pem, issuer: Issuer::new(params, key) }
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a client, and its private key.
    ///
    /// # Panics
    /// Never: keys and certificates can be made.
    #[must_use]
    pub fn client_pem(&self) -> String {
        let key = KeyPair::generate().expect("keys can be made");
        let params = CertificateParams::new(["client".to_owned()]).expect("it is a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        certificate.pem() + &key.serialize_pem()
    }

    /// A certificate for a server at `localhost`, and its private key.
    ///
    /// # Panics
    /// Never: keys and certificates can be made.
    #[must_use]
    pub fn server_pem(&self) -> String {
        self.localhost_pem(|_| {})
    }

    /// The same, but the certificate has expired.
    ///
    /// # Panics
    /// Never: keys and certificates can be made.
    #[must_use]
    pub fn expired_server_pem(&self) -> String {
        self.localhost_pem(|params| params.not_after = date_time_ymd(2024, 1, 1))
    }

    fn localhost_pem(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("it is a name");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        certificate.pem() + &key.serialize_pem()
    }

    /// A server at `localhost` and `127.0.0.1`, open to all.
    ///
    /// # Panics
    /// Never: certificate and key belong together.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        let (chain, key) = self.server_certificate();
        let builder = builder().with_no_client_auth();
        builder.with_single_cert(chain, key).expect("certificate and key belong together")
    }

    /// The same, for clients alone whose certificate is of this authority.
    ///
    /// # Panics
    /// Never: certificate and key belong together.
    #[must_use]
    pub fn mutual_server(&self) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("it is a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let (chain, key) = self.server_certificate();
        let builder = builder().with_client_cert_verifier(verifier.expect("there is a root"));
        builder.with_single_cert(chain, key).expect("certificate and key belong together")
    }

    fn server_certificate(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("keys can be made");
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("they are names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(..)")
    }
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.expect("the provider has these versions")
}

/// Ends TLS and passes what is inside to a front. Ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Terminator {
    url: String,
    front: Front,
    server: JoinHandle<()>,
}

impl Terminator {
    /// Listens on a loopback port of its own.
    ///
    /// # Panics
    /// When there is no port left on loopback.
    pub async fn start(config: ServerConfig, front: Front) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port left");
        let url = format!("https://localhost:{}", listener.local_addr().expect("a listener has an address").port());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let behind = front.url().trim_start_matches("http://").to_owned();
        let server = tokio::spawn(accept(listener, acceptor, behind));
        Self { url, front, server }
    }

    /// `https://localhost:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Spoils and counts what comes in.
    #[must_use]
    pub fn front(&self) -> &Front {
        &self.front
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Ends TLS before whatever listens at the address `behind`, until it is aborted. Needs a Tokio runtime.
///
/// # Panics
/// When the listener cannot be used.
#[must_use]
pub fn forward(listener: std::net::TcpListener, config: ServerConfig, behind: String) -> JoinHandle<()> {
    listener.set_nonblocking(true).expect("a listener can wait");
    let listener = TcpListener::from_std(listener).expect("there is a runtime");
    tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), behind))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, behind: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        connections.spawn(async move {
            let mut outside = match acceptor.accept(stream).into_fallible().await {
                Ok(outside) => outside,
                Err((_, stream)) => return linger(stream).await.ok(),
            };
            let mut inside = TcpStream::connect(behind).await.ok()?;
            copy_bidirectional(&mut outside, &mut inside).await.ok().map(drop)
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Closing while bytes are unread would reset the connection, and the client might never see the alert that says why.
async fn linger(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    copy(&mut stream, &mut sink()).await.map(drop)
}
