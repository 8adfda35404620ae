//! TLS on loopback, before a [`Front`] that speaks plain HTTP.

use crate::front::Front;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A certificate authority for one counterpart.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = CertificateParams::default();
        // A name of its own: OpenSSL takes a certificate whose issuer has its name for self-signed.
        params.distinguished_name.push(DnType::CommonName, "counterpart of Azure");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).expect("a certificate can be made").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    fn server(&self) -> ServerConfig {
        let key = KeyPair::generate().expect("keys can be made");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("localhost is a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("the provider has these versions").with_no_client_auth();
        builder.with_single_cert(chain, key).expect("certificate and key belong together")
    }
}

/// Ends TLS and passes what is inside to a front. Ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub(super) struct Terminator {
    url: String,
    front: Front,
    server: JoinHandle<()>,
}

impl Terminator {
    pub(super) async fn start(authority: &Authority, front: Front) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port left");
        let url = format!("https://localhost:{}", listener.local_addr().expect("a listener has an address").port());
        let acceptor = TlsAcceptor::from(Arc::new(authority.server()));
        let behind = front.url().trim_start_matches("http://").to_owned();
        let server = tokio::spawn(accept(listener, acceptor, behind));
        Self { url, front, server }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn front(&self) -> &Front {
        &self.front
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, behind: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        connections.spawn(async move {
            let mut outside = acceptor.accept(stream).await.ok()?;
            let mut inside = TcpStream::connect(behind).await.ok()?;
            copy_bidirectional(&mut outside, &mut inside).await.ok()
        });
        while connections.try_join_next().is_some() {}
    }
}
