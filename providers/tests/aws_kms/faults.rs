//! Answers that no healthy KMS gives, each with the one error it means and without a second attempt.

use crate::environment::{self, CREDENTIALS};
use crate::server::{Server, connect_to};
use crate::{CONTEXT, SECRET, wrap};
use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::front::{Fault, Front};
use keyfold_providers::aws_kms::AwsKms;
use keyfold_providers::{Error, ImportKey, KeyProvider, KeyRef, RewrapKey, Unusable, Wrapped};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// A room, a key that it has used before, and what is between it and its server.
struct Scene {
    _server: Server,
    front: Front,
    kms: AwsKms,
    key: KeyRef,
    wrapped: Wrapped,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::localstack().await;
        let front = Front::before(&server.url).await;
        let (kms, key) = (connect_to(&front.url()).await, server.key("SYMMETRIC_DEFAULT").await);
        let wrapped = wrap(&kms, &key).await.unwrap();
        Self { _server: server, front, kms, key, wrapped }
    }

    /// The errors of all calls while each request meets `fault`; one request each.
    async fn errors(&self, fault: Fault) -> Vec<Error> {
        self.front.fail(None, fault);
        let before = self.front.requests();
        let errors = vec![
            self.kms.inspect(&self.key).await.unwrap_err(),
            wrap(&self.kms, &self.key).await.unwrap_err(),
            // A key whose algorithm was forgotten is asked for it, and that fails alike.
            self.kms.unwrap_key(&self.key, &self.wrapped, &CONTEXT).await.unwrap_err(),
            self.kms.rewrap_key(&self.key, &self.key, &self.wrapped, &CONTEXT).await.unwrap_err(),
            self.kms.import_parameters(&self.key).await.unwrap_err(),
            self.kms.import_key(&self.key, b"material", b"token").await.unwrap_err(),
        ];
        assert_eq!(self.front.requests() - before, errors.len(), "each call is one request");
        self.front.heal();
        errors
    }

    async fn all_are(&self, fault: Fault, expected: impl Fn(&Error) -> bool) {
        for error in self.errors(fault.clone()).await {
            assert!(expected(&error), "{fault:?}: {error:?}");
        }
    }
}

/// As KMS words its errors.
fn exception(status: u16, name: &str, headers: &[(&'static str, &'static str)]) -> Fault {
    let body = json!({"__type": name, "message": "Signature expired: 20260101T000000Z is now earlier than ..."});
    Fault::Answer { status, headers: headers.to_vec(), body: body.to_string() }
}

/// Good for every call, only too long.
fn endless() -> Fault {
    let plaintext = BASE64_STANDARD.encode([SECRET, *CONTEXT.as_bytes()].concat());
    let key =
        json!({"KeyId": "", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled"});
    let answer = json!({
        "KeyMetadata": key, "CiphertextBlob": "AAAA", "Plaintext": plaintext, "PublicKey": "AAAA", "ImportToken": "AAAA",
        "Padding": " ".repeat(100_000),
    });
    Fault::Answer { status: 200, headers: Vec::new(), body: answer.to_string() }
}

#[test]
fn every_fault_is_one_error_and_one_request() {
    environment::run("faults::every_fault_is_one_error_and_one_request", &CREDENTIALS, async {
        let scene = Scene::new().await;
        let page = |status| Fault::Answer { status, headers: vec![("retry-after", "7")], body: "<html>".to_owned() };
        let seven = Some(Duration::from_secs(7));

        for name in
            ["ThrottlingException", "Throttling", "LimitExceededException", "com.amazonaws.kms#ThrottlingException"]
        {
            scene.all_are(exception(400, name, &[]), |error| matches!(error, Error::Throttled { .. })).await;
        }
        let throttled = |error: &Error| matches!(error, Error::Throttled { retry_after } if *retry_after == seven);
        scene.all_are(page(429), throttled).await;

        for name in ["KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException", "InternalFailure"]
        {
            scene.all_are(exception(500, name, &[]), |error| matches!(error, Error::Unavailable { .. })).await;
        }
        let unavailable = |error: &Error| matches!(error, Error::Unavailable { retry_after } if *retry_after == seven);
        scene.all_are(page(503), unavailable).await;
        for fault in [Fault::CutMidAnswer, Fault::Reset] {
            scene.all_are(fault, |error| matches!(error, Error::Unavailable { .. })).await;
        }

        let refusals = [
            "AccessDeniedException",
            "UnrecognizedClientException",
            "ExpiredTokenException",
            "InvalidSignatureException",
            "IncompleteSignature",
            "MissingAuthenticationTokenException",
            "RequestTimeTooSkewed",
        ];
        for name in refusals {
            scene.all_are(exception(400, name, &[]), |error| matches!(error, Error::Refused)).await;
        }
        scene.all_are(page(403), |error| matches!(error, Error::Refused)).await;

        let disabled = |error: &Error| matches!(error, Error::KeyUnusable(Unusable::Disabled));
        scene.all_are(exception(400, "DisabledException", &[]), disabled).await;
        scene.all_are(exception(400, "NotFoundException", &[]), |error| matches!(error, Error::NoSuchKey)).await;

        for name in ["InvalidKeyUsageException", "UnsupportedOperationException", "ValidationException", "Whatever"] {
            scene.all_are(exception(400, name, &[]), |error| matches!(error, Error::Broken(_))).await;
        }
        for fault in [Fault::Garbage, page(302), page(404), endless()] {
            scene.all_are(fault, |error| matches!(error, Error::Broken(_))).await;
        }
        assert!(scene.kms.unwrap_key(&scene.key, &scene.wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
    });
}

#[test]
fn a_silent_server_ends_with_the_deadline() {
    environment::run("faults::a_silent_server_ends_with_the_deadline", &CREDENTIALS, async {
        let scene = Scene::new().await;
        let before = scene.front.requests();
        scene.front.fail(None, Fault::Hang);
        let ended = timeout(Duration::from_secs(12), wrap(&scene.kms, &scene.key)).await;
        let error = ended.expect("a call ends at its deadline").unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        assert_eq!(scene.front.requests() - before, 1);
    });
}

/// A wrong clock is not worked around: the answer's date changes nothing about the next signature.
#[test]
fn a_wrong_clock_stays_visible() {
    environment::run("faults::a_wrong_clock_stays_visible", &CREDENTIALS, async {
        let scene = Scene::new().await;
        let date = ("date", "Tue, 01 Jan 2030 00:00:00 GMT");
        scene.front.fail(1, exception(400, "InvalidSignatureException", &[date]));
        assert!(matches!(wrap(&scene.kms, &scene.key).await, Err(Error::Refused)));
        wrap(&scene.kms, &scene.key).await.unwrap();
        let last = scene.front.seen().pop().unwrap();
        assert!(!last.headers["x-amz-date"].to_str().unwrap().starts_with("2030"), "signed by our own clock");
    });
}

#[test]
fn no_error_shows_what_was_in_the_answer() {
    environment::run("faults::no_error_shows_what_was_in_the_answer", &CREDENTIALS, async {
        let scene = Scene::new().await;
        let plaintext = BASE64_STANDARD.encode([SECRET, *CONTEXT.as_bytes()].concat());
        let answer = |body: String| Fault::Answer { status: 200, headers: Vec::new(), body };
        let unwrap = async |fault| {
            scene.front.fail(1, fault);
            scene.kms.unwrap_key(&scene.key, &scene.wrapped, &CONTEXT).await
        };
        for body in [format!(r#"{{"Plaintext":"{plaintext}""#), format!(r#"{{"Plaintext":["{plaintext}"]}}"#)] {
            let error = unwrap(answer(body)).await.unwrap_err();
            assert!(matches!(error, Error::Broken(_)), "{error:?}");
            assert!(!format!("{error:?} {error}").contains(&plaintext[..20]), "{error:?}");
        }
        assert!(matches!(unwrap(answer("{}".to_owned())).await, Err(Error::Broken(_))));
        scene.kms.inspect(&scene.key).await.unwrap();
        // A server that claims to have opened what it cannot have opened.
        let of_another = json!({"Plaintext": BASE64_STANDARD.encode([7; 64])}).to_string();
        assert!(matches!(unwrap(answer(of_another)).await, Err(Error::Mismatch)));
    });
}
