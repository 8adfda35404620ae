//! TLS on loopback, before servers that speak in clear, with certificates good and bad.

use crate::front::Front;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
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

    /// A certificate for a server at `localhost` and `127.0.0.1`, and its private key.
    ///
    /// # Panics
    /// Never: keys and certificates can be made.
    #[must_use]
    pub fn server_pem(&self, flaw: Option<Flaw>) -> String {
        let (certificate, key) = self.certificate(flaw);
        certificate.pem() + &key.serialize_pem()
    }

    /// A server at `localhost` and `127.0.0.1`, open to all.
    ///
    /// # Panics
    /// Never: certificate and key belong together.
    #[must_use]
    pub fn server(&self, flaw: Option<Flaw>) -> ServerConfig {
        let (certificate, key) = self.certificate(flaw);
        shows(builder().with_no_client_auth(), &certificate, &key)
    }

    /// The same, for clients alone whose certificate is of this authority.
    ///
    /// # Panics
    /// Never: certificate and key belong together.
    #[must_use]
    pub fn mutual_server(&self, flaw: Option<Flaw>) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("it is a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let (certificate, key) = self.certificate(flaw);
        shows(builder().with_client_cert_verifier(verifier.expect("there is a root")), &certificate, &key)
    }

    fn certificate(&self, flaw: Option<Flaw>) -> (Certificate, KeyPair) {
        let names: &[&str] =
            if flaw == Some(Flaw::OtherName) { &["elsewhere.example"] } else { &["localhost", "127.0.0.1"] };
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("they are names");
        if flaw == Some(Flaw::Expired) {
            params.not_after = date_time_ymd(2024, 1, 1);
        }
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        (certificate, key)
    }
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It ended with the year 2023.
    Expired,
    /// It is for another host.
    OtherName,
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

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.expect("the provider has these versions")
}

fn shows(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    certificate: &Certificate,
    key: &KeyPair,
) -> ServerConfig {
    let (chain, key) = (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()));
    builder.with_single_cert(chain, key).expect("certificate and key belong together")
}

/// TLS on a loopback port of its own, before a server that has none. Ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct TlsPort {
    listener: Arc<TcpListener>,
    port: u16,
    behind: String,
    server: Mutex<JoinHandle<()>>,
}

impl TlsPort {
    /// Listens before the address `behind` (`host:port`). Needs a Tokio runtime.
    ///
    /// # Panics
    /// When there is no port left on loopback, or no runtime.
    #[must_use]
    pub fn start(config: ServerConfig, behind: String) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a port left");
        listener.set_nonblocking(true).expect("a listener can wait");
        let port = listener.local_addr().expect("a listener has an address").port();
        let listener = Arc::new(TcpListener::from_std(listener).expect("there is a runtime"));
        let server = Mutex::new(tokio::spawn(accept(listener.clone(), config.into(), behind.clone())));
        Self { listener, port, behind, server }
    }

    /// Where it listens, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on is such a server; open connections end.
    pub fn restart(&self, config: ServerConfig) {
        self.replace(accept(self.listener.clone(), config.into(), self.behind.clone()));
    }

    /// Is away: open connections end, and others are reset.
    pub fn hang_up(&self) {
        self.replace(reset(self.listener.clone()));
    }

    fn replace(&self, server: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.server.lock().expect("nothing panics while holding this lock");
        running.abort();
        *running = tokio::spawn(server);
    }
}

impl Drop for TlsPort {
    fn drop(&mut self) {
        self.server.get_mut().expect("nothing panics while holding this lock").abort();
    }
}

/// Ends TLS and passes what is inside to a front.
#[derive(Debug)]
pub struct Terminator {
    url: String,
    front: Front,
    port: TlsPort,
}

impl Terminator {
    /// Listens on a loopback port of its own. Needs a Tokio runtime.
    ///
    /// # Panics
    /// When there is no port left on loopback, or no runtime.
    #[must_use]
    pub fn start(config: ServerConfig, front: Front) -> Self {
        let port = TlsPort::start(config, front.url().trim_start_matches("http://").to_owned());
        Self { url: format!("https://localhost:{}", port.port()), front, port }
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

    /// What others connect to.
    #[must_use]
    pub fn port(&self) -> &TlsPort {
        &self.port
    }
}

async fn accept(listener: Arc<TcpListener>, config: Arc<ServerConfig>, behind: String) {
    let acceptor = TlsAcceptor::from(config);
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

async fn reset(listener: Arc<TcpListener>) {
    while let Ok((stream, _)) = listener.accept().await {
        // A socket is closed without it as well, only in a friendlier way.
        let _ = stream.set_zero_linger();
    }
}

/// Closing while bytes are unread would reset the connection, and the client might never see the alert that says why.
async fn linger(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    copy(&mut stream, &mut sink()).await.map(drop)
}
