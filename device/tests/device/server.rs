//! A server that gives scripted answers over TLS, and the answers of an honest broker.

use audit::{Origin, note::LogKey};
use keyfold_device::{Broker, Device, DeviceInfo, Error, Verifier};
use protocol::{
    encoding::Base64Url,
    enrolment::EnrolmentCode,
    messages::{DeviceState, DeviceStatus, Enrolled, IngressKey, LogKeys, Problem},
    sealing::OpeningKey,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{NamedGroup, ServerConfig, SupportedProtocolVersion, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use secret::Secret;
use serde::Serialize;
use std::{collections::VecDeque, sync::Arc};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

/// Status, nonce and body of an answer; `None` hangs up instead.
pub(crate) type Answer = Option<(u16, &'static str, String)>;

/// A server that gives `answers` in turn, whatever it is asked, and reports each request's body.
pub(crate) async fn server(
    version: &'static SupportedProtocolVersion,
    answers: Vec<Answer>,
) -> (Broker, UnboundedReceiver<Vec<u8>>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (report, requests) = unbounded_channel();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut answers = VecDeque::from(answers);
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(socket).await else { continue };
            let group = stream.get_ref().1.negotiated_key_exchange_group().map(|group| group.name());
            let mut stream = BufStream::new(stream);
            report.send(request(&mut stream).await).unwrap();
            assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
            if let Some((status, nonce, body)) = answers.pop_front().unwrap() {
                let head =
                    format!("HTTP/1.1 {status} -\r\nreplay-nonce: {nonce}\r\ncontent-length: {}\r\n", body.len());
                stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
            }
            let _ = stream.shutdown().await;
        }
    });
    (Broker { url, roots_pem: cert.pem() }, requests)
}

async fn request(stream: &mut (impl AsyncBufReadExt + AsyncReadExt + Unpin)) -> Vec<u8> {
    let (mut line, mut len) = (String::new(), 0);
    while stream.read_line(&mut line).await.unwrap() > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.unwrap();
    body
}

pub(crate) fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap()
}

pub(crate) fn problem(status: u16, code: &str) -> String {
    json(&Problem { type_uri: "about:blank".into(), title: "no".into(), status, code: code.into(), detail: None })
}

/// The log key of a seed; 1 is the tenant's own.
pub(crate) fn log_key(origin: &str, seed: u8) -> LogKey {
    LogKey::from_seed(&Origin::new(origin).unwrap(), &Secret::copied_from(&[seed; 32])).unwrap()
}

/// A new ingress key that this log key vouches for.
pub(crate) fn ingress(log: &LogKey, id: &str) -> IngressKey {
    let key = OpeningKey::generate().public().clone();
    let endorsement = log.endorse_ingress(id, &key.hash());
    IngressKey { id: id.parse().unwrap(), key: Base64Url(key), endorsement }
}

/// What an honest broker answers; its key is the tenant's own.
pub(crate) fn enrolled(tenant: &str) -> Enrolled {
    let log = log_key("keyfold.example/acme", 1);
    Enrolled {
        device: Uuid::from_u128(7),
        tenant: tenant.parse().unwrap(),
        user: "alice".parse().unwrap(),
        state: DeviceState::Active,
        log: LogKeys { origin: log.verifier().origin().to_string(), vkeys: vec![log.vkey()] },
        ingress: ingress(&log, "1"),
        policy: Base64Url([0; 32]),
    }
}

pub(crate) fn status(enrolled: Enrolled) -> DeviceStatus {
    DeviceStatus {
        device: enrolled.device,
        tenant: enrolled.tenant,
        user: enrolled.user,
        name: "phone".parse().unwrap(),
        platform: "Android 17".parse().unwrap(),
        state: DeviceState::Active,
        enrolled_at: 0,
        ingress: enrolled.ingress,
        policy: enrolled.policy,
        restores: Vec::new(),
    }
}

pub(crate) async fn enrol(broker: Broker, log_key: Option<&Verifier>) -> Result<Device, Error> {
    let info = DeviceInfo { name: "phone".parse().unwrap(), platform: "Android 17".parse().unwrap() };
    Device::enrol(broker, "acme".parse().unwrap(), EnrolmentCode::generate(), info, log_key).await
}
