//! What stands between the room and Cloud KMS fails. Each call is one request, whatever comes of it.

use crate::cloud::{Cloud, LEAST_PRIVILEGE, connect_with, key};
use crate::{CONTEXT, wrap};
use counterparts::front::{Fault, Front};
use keyfold_providers::google_kms::GoogleKms;
use keyfold_providers::{Error, KeyProvider, KeyRef, Wrapped};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

const JSON: (&str, &str) = ("content-type", "application/json");

/// The room behind a front; it has seen its keys, so that each call is one request.
struct Scene {
    cloud: Cloud,
    front: Front,
    kms: GoogleKms,
    keys: Vec<(KeyRef, Wrapped)>,
}

impl Scene {
    async fn start() -> Self {
        let cloud = Cloud::start().await;
        let rsa = cloud.create_rsa_key("rsa", 2048).await;
        let front = Front::before(&cloud.kms.url()).await;
        let kms = cloud.connect_as(LEAST_PRIVILEGE, &front.url()).await.unwrap();
        let mut keys = Vec::new();
        for key in [key("first"), rsa] {
            let wrapped = wrap(&kms, &key).await.unwrap();
            keys.push((key, wrapped));
        }
        Self { cloud, front, kms, keys }
    }

    /// What each call gives while `fault` lasts; each is one request.
    async fn errors(&self, fault: &Fault) -> Vec<Error> {
        let mut errors = Vec::new();
        self.front.fail(None, fault.clone());
        for (key, wrapped) in &self.keys {
            let before = self.front.requests();
            errors.push(self.kms.inspect(key).await.unwrap_err());
            errors.push(wrap(&self.kms, key).await.unwrap_err());
            errors.push(self.kms.unwrap_key(key, wrapped, &CONTEXT).await.unwrap_err());
            assert_eq!(self.front.requests() - before, 3, "one request a call: {fault:?}");
        }
        self.front.heal();
        for (key, wrapped) in &self.keys {
            let before = self.front.requests();
            self.kms.unwrap_key(key, wrapped, &CONTEXT).await.unwrap();
            assert_eq!(self.front.requests() - before, 1, "one request, and well again after {fault:?}");
        }
        errors
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled() {
    let scene = Scene::start().await;
    let info = r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}"#;
    let status = r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}"#;
    for (headers, body) in
        [(vec![JSON], info), (vec![JSON, ("retry-after", "7")], status), (vec![("retry-after", "7")], "")]
    {
        for error in scene.errors(&answer(429, headers.clone(), body)).await {
            let asked = matches!(error, Error::Throttled { retry_after: Some(after) } if after.as_secs() == 7);
            assert!(asked, "{headers:?} {body}: {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable() {
    let scene = Scene::start().await;
    let mut faults = vec![Fault::CutMidAnswer, Fault::Reset];
    for (status, word) in [(503, "UNAVAILABLE"), (500, "INTERNAL"), (504, "DEADLINE_EXCEEDED"), (500, "UNKNOWN")] {
        let body = format!(r#"{{"error":{{"code":{status},"message":"x","status":"{word}"}}}}"#);
        faults.push(answer(status, vec![JSON], &body));
    }
    faults.push(answer(502, Vec::new(), "<html>"));
    for fault in faults {
        for error in scene.errors(&fault).await {
            assert!(matches!(error, Error::Unavailable { .. }), "{fault:?}: {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken() {
    let scene = Scene::start().await;
    let elsewhere = ("location", "http://127.0.0.1:1/");
    let unknown = r#"{"error":{"code":400,"message":"x","status":"OUT_OF_RANGE"}}"#;
    let faults = [
        Fault::Garbage,
        answer(200, vec![JSON], "{}"),
        answer(200, vec![JSON], r#"{"plaintext":"*","ciphertext":"*","pem":1,"state":"?","name":[]}"#),
        answer(404, Vec::new(), "<html>"),
        answer(400, vec![JSON], unknown),
        // Followed, it would be nobody's answer: unavailable.
        answer(307, vec![elsewhere], ""),
    ];
    for fault in faults {
        for error in scene.errors(&fault).await {
            assert!(matches!(error, Error::Broken(_)), "{fault:?}: {error:?}");
        }
    }
}

/// To decrypt, INVALID_ARGUMENT says that the bytes are wrong; to encrypt, that we are.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_arguments() {
    let scene = Scene::start().await;
    let invalid = answer(400, vec![JSON], r#"{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}"#);
    for (key, wrapped) in &scene.keys {
        scene.front.fail(1, invalid.clone());
        let wrap = wrap(&scene.kms, key).await;
        assert!(matches!(wrap, Err(Error::Broken(_))), "{wrap:?}");
        scene.front.fail(1, invalid.clone());
        let unwrap = scene.kms.unwrap_key(key, wrapped, &CONTEXT).await;
        assert!(matches!(unwrap, Err(Error::Mismatch)), "{unwrap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused() {
    let scene = Scene::start().await;
    for status in [401, 403] {
        for error in scene.errors(&answer(status, Vec::new(), "<html>")).await {
            assert!(matches!(error, Error::Refused), "{status}: {error:?}");
        }
    }
}

/// A slow answer is an answer; none at all ends at the backstop; a call that is dropped leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent() {
    let scene = Scene::start().await;
    let (key, wrapped) = &scene.keys[0];
    scene.front.fail(1, Fault::Slow(Duration::from_millis(700)));
    scene.kms.unwrap_key(key, wrapped, &CONTEXT).await.unwrap();

    scene.front.fail(None, Fault::Hang);
    let dropped = tokio::time::timeout(Duration::from_millis(100), scene.kms.unwrap_key(key, wrapped, &CONTEXT));
    assert!(dropped.await.is_err());
    let start = Instant::now();
    let error = scene.kms.inspect(key).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(12), "a call ends at its deadline");
    scene.front.heal();
    scene.kms.unwrap_key(key, wrapped, &CONTEXT).await.unwrap();
}

/// Service accounts sign their own tokens, with the times of the clock at hand; Google compares them with its own.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_and_credentials() {
    let scene = Scene::start().await;
    let (key, wrapped) = &scene.keys[0];
    for ahead in [2 * 3600, -3600] {
        scene.cloud.kms.set_clock_ahead(ahead);
        let error = scene.kms.unwrap_key(key, wrapped, &CONTEXT).await.unwrap_err();
        assert!(matches!(error, Error::Refused), "{ahead} s ahead: {error:?}");
    }
    scene.cloud.kms.set_clock_ahead(5);
    scene.kms.unwrap_key(key, wrapped, &CONTEXT).await.unwrap();

    let account = scene.cloud.kms.service_account(LEAST_PRIVILEGE);
    let other = account.replace("account-1@", "account-0@");
    let forged = connect_with(&other, &scene.cloud.kms.url()).await.unwrap();
    assert!(matches!(forged.inspect(key).await, Err(Error::Refused)), "another account's key signs nothing");
    scene.cloud.kms.forget_accounts();
    assert!(matches!(scene.kms.unwrap_key(key, wrapped, &CONTEXT).await, Err(Error::Refused)));
}

/// A workload shows the token of its own platform, and gets one of Google's for it.
#[tokio::test]
async fn workload_identity() {
    let (cloud, folder) = (Cloud::start().await, tempfile::tempdir().unwrap());
    let token = folder.path().join("token");
    cloud.kms.accept_workload("from the platform", LEAST_PRIVILEGE);
    let file = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/v1/token", cloud.kms.url()),
        "credential_source": {"file": token},
    });
    fs::write(&token, "from the platform").unwrap();
    let kms = connect_with(&file.to_string(), &cloud.kms.url()).await.unwrap();
    let wrapped = wrap(&kms, &key("first")).await.unwrap();
    kms.unwrap_key(&key("first"), &wrapped, &CONTEXT).await.unwrap();

    fs::write(&token, "from elsewhere").unwrap();
    let stranger = connect_with(&file.to_string(), &cloud.kms.url()).await.unwrap();
    let refused = wrap(&stranger, &key("first")).await;
    assert!(matches!(refused, Err(Error::Refused)), "{refused:?}");
}

fn answer(status: u16, headers: Vec<(&'static str, &'static str)>, body: &str) -> Fault {
    Fault::Answer { status, headers, body: body.to_owned() }
}
