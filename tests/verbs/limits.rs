//! Whoever asks too often is told when to come back, and loses nothing.

use crate::harness::{Answer, Broker, Raw, TENANT, outcomes};
use protocol::enrolment::EnrolmentCode;
use protocol::jws::DeviceKey;
use serde_json::Value;
use std::time::Duration;

/// A broker with these rates.
async fn limited(device_per_second: u32, tenant_per_second: u32, failures_per_minute: u32) -> Broker {
    let rates = format!(
        "[rates]\ndevice_per_second = {device_per_second}\ntenant_per_second = {tenant_per_second}\n\
         failures_per_minute = {failures_per_minute}\n"
    );
    Broker::start_with(|config| config.split("[rates]").next().unwrap().to_owned() + &rates).await
}

/// How long a refused client is told to wait.
fn retry_after(answer: &Answer) -> Duration {
    assert_eq!((answer.status, answer.code()), (429, "rate_limited".into()), "{answer:?}");
    let seconds = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    Duration::from_secs(seconds)
}

async fn status(device: &Raw) -> Answer {
    device.post(&device.path(&format!("/devices/{}", device.id())), &Value::Null).await
}

/// Asks for the status until it is refused; gives how often it was not, and the refusal.
async fn exhaust(device: &Raw) -> (u32, Answer) {
    for served in 0..200 {
        let answer = status(device).await;
        if answer.status != 200 {
            return (served, answer);
        }
    }
    panic!("nothing was limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_a_budget_of_its_own() {
    let broker = limited(1, 1_000, 1_000).await;
    let vkey = broker.with_tenant().await;
    let (busy, other) = (Raw::enrol(&broker, TENANT, "alice").await, Raw::enrol(&broker, TENANT, "alice").await);
    let (served, refused) = exhaust(&busy).await;
    assert!((10..15).contains(&served), "a burst of ten seconds' worth, not {served}");
    let wait = retry_after(&refused);
    let wrap = busy.wrap("identity", 1, b"key");
    retry_after(&busy.send_wrap(&wrap).await);
    assert_eq!(status(&other).await.status, 200);
    tokio::time::sleep(wait).await;
    assert_eq!(busy.send_wrap(&wrap).await.status, 201, "nothing was lost, the nonce of a refused request included");
    assert_eq!(outcomes(&broker.verified_log(TENANT, &vkey), "record.wrapped"), ["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_a_budget_for_all_its_devices() {
    let broker = limited(100, 1, 1_000).await;
    broker.with_tenant().await;
    broker.tenant("other", "alice").await;
    let (first, second) = (Raw::enrol(&broker, TENANT, "alice").await, Raw::enrol(&broker, TENANT, "alice").await);
    let neighbour = Raw::enrol(&broker, "other", "alice").await;
    let (served, refused) = exhaust(&first).await;
    assert!((10..15).contains(&served), "{served}");
    retry_after(&refused);
    retry_after(&status(&second).await);
    assert_eq!(status(&neighbour).await.status, 200, "another tenant does not feel it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_fails_too_often_is_slowed_and_the_proven_are_served() {
    let broker = limited(1_000, 1_000, 4).await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    let key = DeviceKey::generate_p256();
    let guess = || EnrolmentCode::generate().reveal().to_string();
    let wrong_token = || broker.http().get(broker.url("/v1/admin/tenants")).bearer_auth("wrong").send();

    assert_eq!(Raw::try_enrol(&broker, TENANT, &guess(), &key).await.code(), "enrolment_code_invalid");
    assert_eq!(Raw::try_enrol(&broker, "nobody", &guess(), &key).await.code(), "enrolment_code_invalid");
    assert_eq!(wrong_token().await.unwrap().status(), 401);
    let path = device.path(&format!("/devices/{}", device.id()));
    let mut forged: Value = serde_json::from_slice(&device.sign(&path, &device.nonce().await, b"")).unwrap();
    forged["signature"] = protocol::encoding::to_base64url(&[7; 64]).into();
    assert_eq!(device.send(&path, forged.to_string().into_bytes()).await.code(), "unauthorized");

    retry_after(&Raw::try_enrol(&broker, TENANT, &guess(), &key).await);
    retry_after(&device.send(&path, forged.to_string().into_bytes()).await);
    assert_eq!(wrong_token().await.unwrap().status(), 429);
    assert_eq!(status(&device).await.status, 200);
    assert_eq!(broker.admin("", None).await.0, 200);
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "enrol.denied"), ["enrolment_code_invalid"], "guessing does not grow the log for ever");
}
