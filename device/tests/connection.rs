//! How a device speaks to its broker: over TLS 1.3 to roots it was given, with nonces that are spent once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use keyfold_device::{Broker, Device, DeviceInfo, Error};
use protocol::{
    encoding::Base64Url,
    enrolment::EnrolmentCode,
    jws::{Signer, Unverified, Verified},
    messages::{DeviceState, DeviceStatus, Enrol, Enrolled, IngressKey, LogKeys, Problem},
    sealing::OpeningKey,
};
use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{
    NamedGroup, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::PrivateKeyDer,
    version::{TLS12, TLS13},
};
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
type Answer = Option<(u16, &'static str, String)>;

/// A server that gives `answers` in turn, whatever it is asked, and reports each request's body.
async fn server(
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

fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap()
}

fn problem(status: u16, code: &str) -> String {
    json(&Problem { type_uri: "about:blank".into(), title: "no".into(), status, code: code.into(), detail: None })
}

fn enrolled(tenant: &str) -> Enrolled {
    let origin = audit::Origin::new("keyfold.example/acme").unwrap();
    let log_key = audit::note::LogKey::from_seed(&origin, &secret::Secret::random(32)).unwrap();
    Enrolled {
        device: Uuid::from_u128(7),
        tenant: tenant.parse().unwrap(),
        user: "alice".parse().unwrap(),
        state: DeviceState::Active,
        log: LogKeys { origin: origin.to_string(), vkeys: vec![log_key.vkey()] },
        ingress: IngressKey { id: "1".parse().unwrap(), key: Base64Url(OpeningKey::generate().public().clone()) },
        policy: Base64Url([0; 32]),
    }
}

fn status(enrolled: Enrolled) -> DeviceStatus {
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
    }
}

async fn enrol(broker: Broker) -> Result<Device, Error> {
    let info = DeviceInfo { name: "phone".parse().unwrap(), platform: "Android 17".parse().unwrap() };
    Device::enrol(broker, "acme".parse().unwrap(), EnrolmentCode::generate(), info).await
}

/// The verified request that enrols.
fn enrolment(body: &[u8]) -> Verified {
    let unverified = Unverified::parse(body).unwrap();
    let Signer::Jwk(key) = unverified.signer.clone() else { unreachable!("a device enrols with its key") };
    unverified.verify(&key).unwrap()
}

#[tokio::test]
async fn a_refused_nonce_is_replaced_by_the_one_that_comes_with_the_refusal() {
    let (broker, mut requests) = server(
        &TLS13,
        vec![
            Some((204, "n1", String::new())),
            Some((400, "n2", problem(400, Problem::BAD_NONCE))),
            Some((201, "n3", json(&enrolled("acme")))),
        ],
    )
    .await;
    let url = format!("{}/v1/tenants/acme/devices", broker.url);
    let device = enrol(broker).await.unwrap();
    assert_eq!(device.id(), Uuid::from_u128(7));
    assert_eq!(requests.recv().await.unwrap(), b"");
    for nonce in ["n1", "n2"] {
        let asked = enrolment(&requests.recv().await.unwrap());
        assert_eq!((asked.nonce.as_str(), &asked.url), (nonce, &url));
        assert_eq!(protocol::encoding::from_json::<Enrol>(&asked.payload).unwrap().name.as_str(), "phone");
    }
}

#[tokio::test]
async fn a_read_is_repeated_with_a_new_nonce_and_an_enrolment_is_not() {
    let answer = enrolled("acme");
    let (broker, mut requests) = server(
        &TLS13,
        vec![
            Some((204, "n1", String::new())),
            Some((201, "n2", json(&answer))),
            None,
            Some((204, "n3", String::new())),
            Some((503, "n4", problem(503, "unavailable"))),
            Some((200, "n5", json(&status(answer)))),
        ],
    )
    .await;
    let mut device = enrol(broker).await.unwrap();
    device.status().await.unwrap();
    let (_, _, mut spent) = (requests.recv().await, requests.recv().await, Vec::new());
    while let Ok(body) = requests.try_recv() {
        spent.extend(Unverified::parse(&body).ok().map(|request| (request.signer, request.nonce)));
    }
    let kid = || Signer::Kid(Uuid::from_u128(7).to_string());
    assert_eq!(spent, ["n2", "n3", "n4"].map(|nonce| (kid(), nonce.to_owned())));

    let (broker, mut requests) = server(&TLS13, vec![Some((204, "n1", String::new())), None]).await;
    assert!(matches!(enrol(broker).await, Err(Error::Unreachable(_))));
    let _ = (requests.recv().await, requests.recv().await);
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_broker_that_enrols_for_another_tenant_is_refused() {
    let answers = vec![Some((204, "n1", String::new())), Some((201, "n2", json(&enrolled("other"))))];
    let (broker, _requests) = server(&TLS13, answers).await;
    assert!(matches!(enrol(broker).await, Err(Error::Contradiction(_))));
}

#[tokio::test]
async fn nothing_is_said_over_tls_1_2_or_to_roots_that_were_not_given() {
    let (broker, mut requests) = server(&TLS12, vec![]).await;
    assert!(matches!(enrol(broker).await, Err(Error::Unreachable(_))));
    assert!(requests.try_recv().is_err());

    let (broker, mut requests) = server(&TLS13, vec![]).await;
    let other_roots = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    assert!(matches!(enrol(Broker { roots_pem: other_roots, ..broker.clone() }).await, Err(Error::Unreachable(_))));
    assert!(requests.try_recv().is_err());

    assert!(matches!(enrol(Broker { roots_pem: String::new(), ..broker.clone() }).await, Err(Error::Roots)));
    let plain = broker.url.replace("https", "http");
    assert!(matches!(enrol(Broker { url: plain, ..broker }).await, Err(Error::Url)));
}
