//! How a device speaks to its broker: over TLS 1.3 to roots it was given, with nonces that are spent once.

use crate::server::{enrol, enrolled, json, problem, server, status};
use keyfold_device::{Broker, Error};
use protocol::{
    jws::{Signer, Unverified, Verified},
    messages::{Enrol, Problem},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::version::{TLS12, TLS13};
use uuid::Uuid;

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
    let device = enrol(broker, None).await.unwrap();
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
    let mut device = enrol(broker, None).await.unwrap();
    device.status().await.unwrap();
    let (_, _, mut spent) = (requests.recv().await, requests.recv().await, Vec::new());
    while let Ok(body) = requests.try_recv() {
        spent.extend(Unverified::parse(&body).ok().map(|request| (request.signer, request.nonce)));
    }
    let kid = || Signer::Kid(Uuid::from_u128(7).to_string());
    assert_eq!(spent, ["n2", "n3", "n4"].map(|nonce| (kid(), nonce.to_owned())));

    let (broker, mut requests) = server(&TLS13, vec![Some((204, "n1", String::new())), None]).await;
    assert!(matches!(enrol(broker, None).await, Err(Error::Unreachable(_))));
    let _ = (requests.recv().await, requests.recv().await);
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_broker_that_enrols_for_another_tenant_is_refused() {
    let answers = vec![Some((204, "n1", String::new())), Some((201, "n2", json(&enrolled("other"))))];
    let (broker, _requests) = server(&TLS13, answers).await;
    assert!(matches!(enrol(broker, None).await, Err(Error::Contradiction(_))));
}

#[tokio::test]
async fn nothing_is_said_over_tls_1_2_or_to_roots_that_were_not_given() {
    let (broker, mut requests) = server(&TLS12, vec![]).await;
    assert!(matches!(enrol(broker, None).await, Err(Error::Unreachable(_))));
    assert!(requests.try_recv().is_err());

    let (broker, mut requests) = server(&TLS13, vec![]).await;
    let other_roots = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    assert!(matches!(
        enrol(Broker { roots_pem: other_roots, ..broker.clone() }, None).await,
        Err(Error::Unreachable(_))
    ));
    assert!(requests.try_recv().is_err());

    assert!(matches!(enrol(Broker { roots_pem: String::new(), ..broker.clone() }, None).await, Err(Error::Roots)));
    let plain = broker.url.replace("https", "http");
    assert!(matches!(enrol(Broker { url: plain, ..broker }, None).await, Err(Error::Url)));
}
