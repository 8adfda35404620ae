//! A login that is made for one restore.

use crate::server::{enrol, enrolled, json, problem, server};
use keyfold_device::{Error, RestoreRequest, Selection};
use protocol::encoding::from_json;
use protocol::jws::{Signer, Unverified};
use protocol::login;
use protocol::messages::OpenRestore;
use rustls::version::TLS13;

#[tokio::test]
async fn a_restore_is_asked_for_with_the_key_that_its_login_was_made_for() {
    let refused = || Some((403, "n", problem(403, "login_invalid")));
    let answers = vec![Some((204, "n1", String::new())), Some((201, "n2", json(&enrolled("acme"))))];
    let (broker, mut requests) = server(&TLS13, answers.into_iter().chain([refused(), refused()]).collect()).await;
    let mut device = enrol(broker, None).await.unwrap();
    let selection = Selection::Kinds(vec!["identity".parse().unwrap()]);
    let asked = RestoreRequest { selection, reason: "new phone".parse().unwrap() };
    let (one, other) = (device.begin_login(), device.begin_login());
    assert_ne!(one.nonce(), other.nonce());
    for login in [&one, &other] {
        let answer = device.restore_after(login, "e30.e30.e30".parse().unwrap(), asked.clone()).await;
        assert!(matches!(answer, Err(Error::Refused(problem)) if problem.code == "login_invalid"));
    }
    let (_, enrolment) = (requests.recv().await, requests.recv().await.unwrap());
    let Signer::Jwk(key) = Unverified::parse(&enrolment).unwrap().signer else {
        unreachable!("a device enrols with its key")
    };
    for made in [&one, &other] {
        let request = Unverified::parse(&requests.recv().await.unwrap()).unwrap().verify(&key).unwrap();
        let sent: OpenRestore = from_json(&request.payload).unwrap();
        assert_eq!(sent.id_token.unwrap().as_str(), "e30.e30.e30");
        assert_eq!(login::nonce(device.id(), &sent.receive_key.0), made.nonce());
    }
}
