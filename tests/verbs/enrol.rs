//! A one-time code enrols one key, once, for the user it was made for.

use crate::harness::{Broker, Raw, TENANT, outcomes};
use protocol::enrolment::EnrolmentCode;
use protocol::jws::{DeviceKey, Signer};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_code_enrols_one_key_and_a_key_enrols_once() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let code = broker.code(TENANT, "alice").await;
    let (key, other) = (DeviceKey::generate_ed25519(), DeviceKey::generate_p256());
    assert_eq!(Raw::try_enrol(&broker, TENANT, &code, &key).await.status, 201);

    let used = Raw::try_enrol(&broker, TENANT, &code, &other).await;
    assert_eq!((used.status, used.code()), (403, "enrolment_code_invalid".into()));
    let fresh = broker.code(TENANT, "alice").await;
    let known = Raw::try_enrol(&broker, TENANT, &fresh, &key).await;
    assert_eq!((known.status, known.code()), (409, "device_known".into()));
    assert_eq!(Raw::try_enrol(&broker, TENANT, &fresh, &other).await.status, 201, "a refusal does not spend the code");

    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "device.enrolled"), ["ok", "ok"]);
    assert_eq!(outcomes(&log, "enrol.denied"), ["enrolment_code_invalid", "device_known"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_that_does_not_fit_gets_the_same_answer() {
    let mut broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    broker.tenant("other", "alice").await;
    let (foreign, expired) = (broker.code("other", "alice").await, broker.code(TENANT, "alice").await);
    broker.stop();
    broker.sql("UPDATE enrolment_codes SET expires_at = 1 WHERE tenant = 'acme'").await;
    broker.run(&[]).await;

    let (key, unknown) = (DeviceKey::generate_p256(), EnrolmentCode::generate().reveal().to_string());
    let mut bodies = Vec::new();
    for (tenant, code) in [(TENANT, &unknown), (TENANT, &foreign), (TENANT, &expired), ("nobody", &unknown)] {
        let refused = Raw::try_enrol(&broker, tenant, code, &key).await;
        assert_eq!((refused.status, refused.code()), (403, "enrolment_code_invalid".into()), "{tenant} {code}");
        assert!(!String::from_utf8_lossy(&refused.body).contains(code.as_str()));
        bodies.push(refused.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(!broker.log().contains(&unknown), "a code is a secret");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "enrol.denied"), ["enrolment_code_invalid"; 3]);
    assert!(Raw::try_enrol(&broker, "other", &foreign, &key).await.status == 201, "the foreign code was not spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_waits_for_approval_does_nothing() {
    let mut broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"key").await;
    let (opened, _) = device.open("identity").await;
    broker.stop();
    broker.sql("UPDATE devices SET state = 'pending'").await;
    broker.run(&[]).await;
    let wrap = device.send_wrap(&device.wrap("identity", 2, b"key")).await;
    for refused in [wrap, device.release(&opened).await] {
        assert_eq!((refused.status, refused.code()), (403, "device_inactive".into()));
    }
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "wrap.denied"), ["device_inactive"]);
    assert_eq!(outcomes(&log, "restore.denied"), ["device_inactive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_raced_by_twenty_keys_enrols_one() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let code = broker.code(TENANT, "alice").await;
    let keys: Vec<_> = (0..20).map(|_| DeviceKey::generate_ed25519()).collect();
    let tries = keys.iter().map(|key| Raw::try_enrol(&broker, TENANT, &code, key));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "device.enrolled"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_a_key_enrols_it() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let (code, path) = (broker.code(TENANT, "alice").await, format!("/v1/tenants/{TENANT}/devices"));
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    let payload = json!({"code": code, "name": "stolen", "platform": "test"}).to_string();
    let victim = Signer::Jwk(DeviceKey::generate_p256().public().clone());
    let thief = DeviceKey::generate_p256();
    let body = thief.sign_request(&victim, &device.nonce().await, &broker.url(&path), payload.as_bytes());
    let refused = device.send(&path, body).await;
    assert_eq!((refused.status, refused.code()), (401, "unauthorized".into()));

    // A key that is on no curve, and one of another kind than `alg` says.
    let good = thief.sign_request(
        &Signer::Jwk(thief.public().clone()),
        &device.nonce().await,
        &broker.url(&path),
        payload.as_bytes(),
    );
    let good: serde_json::Value = serde_json::from_slice(&good).unwrap();
    let header = protocol::encoding::from_base64url(good["protected"].as_str().unwrap()).unwrap();
    let header = String::from_utf8(header).unwrap();
    let zero = protocol::encoding::to_base64url(&[0; 32]);
    let x = serde_json::to_value(thief.public()).unwrap()["x"].as_str().unwrap().to_owned();
    for altered in [header.replace(&x, &zero), header.replace("ES256", "EdDSA"), header.replace("\"x\"", "\"d\"")] {
        let mut body = good.clone();
        body["protected"] = protocol::encoding::to_base64url(altered.as_bytes()).into();
        let refused = device.send(&path, body.to_string().into_bytes()).await;
        assert_eq!((refused.status, refused.code()), (400, "malformed_jws".into()), "{altered}");
    }
    assert_eq!(device.send(&path, good.to_string().into_bytes()).await.status, 201, "the request itself is good");
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "device.enrolled"), ["ok", "ok"]);
}
