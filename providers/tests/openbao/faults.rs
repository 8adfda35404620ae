//! Answers that no healthy server gives: each is told apart by exactly one request.

use crate::server::Server;
use crate::{CONTEXT, LEAST_PRIVILEGE, wrap};
use counterparts::front::{Fault, Front};
use keyfold_providers::openbao::{ConnectError, Login, OpenBao, Options};
use keyfold_providers::{EndpointError, Error, KeyProvider, KeyRef, Wrapped};
use reqwest::Method;
use secret::Secret;
use serde_json::json;
use std::time::{Duration, Instant};

/// A provider that is logged in, with `first` wrapped by it, and a front between it and the server.
struct Spoilt {
    server: Server,
    front: Front,
    bao: OpenBao,
    wrapped: Wrapped,
}

impl Spoilt {
    async fn new() -> Self {
        let server = Server::start().await;
        let front = server.front().await;
        let token = server.token(LEAST_PRIVILEGE, "1h").await;
        let bao = server.connect_through(&front, token).await.unwrap();
        let wrapped = wrap(&bao, &KeyRef::new("first")).await.unwrap();
        Self { server, front, bao, wrapped }
    }

    /// Errors of inspect, wrap and unwrap under `fault`, each after one request.
    async fn errors(&self, fault: Fault) -> [Error; 3] {
        self.front.fail(None, fault);
        let errors = self.ask().await;
        self.front.heal();
        errors
    }

    async fn ask(&self) -> [Error; 3] {
        let first = KeyRef::new("first");
        let before = self.transit_requests();
        let errors = [
            self.bao.inspect(&first).await.unwrap_err(),
            wrap(&self.bao, &first).await.unwrap_err(),
            self.bao.unwrap_key(&first, &self.wrapped, &CONTEXT).await.unwrap_err(),
        ];
        // A wrap that is refused asks once more whether the key is there.
        let more = usize::from(matches!(errors[1], Error::Refused));
        assert_eq!(self.transit_requests() - before, 3 + more, "no call is repeated: {errors:?}");
        errors
    }

    fn transit_requests(&self) -> usize {
        self.front.seen().iter().filter(|request| request.path.contains("/transit/")).count()
    }

    /// After all faults the provider works as before.
    async fn is_whole(&self) {
        let opened = self.bao.unwrap_key(&KeyRef::new("first"), &self.wrapped, &CONTEXT).await;
        assert!(opened.unwrap().matches(&crate::SECRET));
    }
}

#[tokio::test]
async fn throttled() {
    let spoilt = Spoilt::new().await;
    for error in spoilt.errors(answer(429, &[("retry-after", "7")], "")).await {
        assert!(matches!(error, Error::Throttled { retry_after: Some(after) } if after.as_secs() == 7), "{error:?}");
    }
    spoilt.is_whole().await;
}

#[tokio::test]
async fn unavailable() {
    let spoilt = Spoilt::new().await;
    let failing = answer(500, &[("retry-after", "3")], "");
    let behind = answer(412, &[], r#"{"errors":["required index state not present"]}"#);
    let standby = answer(503, &[], r#"{"errors":["OpenBao is sealed"]}"#);
    for fault in [failing, behind, standby, Fault::CutMidAnswer, Fault::Reset] {
        for error in spoilt.errors(fault.clone()).await {
            assert!(matches!(error, Error::Unavailable { .. }), "{fault:?}: {error:?}");
        }
    }
    spoilt.is_whole().await;
    spoilt.server.admin(Method::POST, "sys/seal", json!({})).await;
    for error in spoilt.ask().await {
        assert!(matches!(error, Error::Unavailable { .. }), "sealed: {error:?}");
    }
}

#[tokio::test]
async fn broken() {
    let spoilt = Spoilt::new().await;
    let healthy = r#"{"data":{"plaintext":"AAAA","ciphertext":"vault:v1:AAAA"}}"#;
    let faults = [
        Fault::Garbage,
        answer(200, &[], "<html>"),
        answer(200, &[], r#"{"data":{"plaintext":"*","ciphertext":"*"}}"#),
        answer(200, &[], &(healthy.to_owned() + &" ".repeat(100_000))),
        answer(307, &[("location", "http://127.0.0.1:1/")], ""),
        answer(404, &[], r#"{"errors":["no handler for route"]}"#),
        answer(404, &[], "<html>"),
        answer(400, &[], r#"{"errors":["whatever"]}"#),
    ];
    for fault in faults {
        for error in spoilt.errors(fault.clone()).await {
            assert!(matches!(error, Error::Broken(_)), "{fault:.100?}: {error:?}");
        }
    }
    spoilt.is_whole().await;
}

/// A server that claims to have opened what it cannot have opened.
#[tokio::test]
async fn lying() {
    let spoilt = Spoilt::new().await;
    spoilt.front.fail(None, answer(200, &[], r#"{"data":{"plaintext":"AAAA"}}"#));
    let opened = spoilt.bao.unwrap_key(&KeyRef::new("first"), &spoilt.wrapped, &CONTEXT).await;
    assert!(matches!(opened, Err(Error::Mismatch)), "{opened:?}");
}

#[tokio::test]
async fn slow_or_silent() {
    let spoilt = Spoilt::new().await;
    spoilt.front.fail(1, Fault::Slow(Duration::from_secs(1)));
    spoilt.is_whole().await;
    spoilt.front.fail(1, Fault::Hang);
    let start = Instant::now();
    let error = spoilt.bao.inspect(&KeyRef::new("first")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(12), "a call ends at its deadline");
}

/// A policy that leaves out a right, and a token that is dead, look alike to a call.
#[tokio::test]
async fn refused() {
    let spoilt = Spoilt::new().await;
    spoilt.server.allow(r#"path "team/transit/keys/second" { capabilities = ["read"] }"#).await;
    for error in spoilt.ask().await {
        assert!(matches!(error, Error::Refused), "{error:?}");
    }
    spoilt.server.allow(LEAST_PRIVILEGE).await;
    spoilt.is_whole().await;
    spoilt.server.revoke_tokens().await;
    let error = spoilt.bao.inspect(&KeyRef::new("first")).await.unwrap_err();
    assert!(matches!(error, Error::Refused), "{error:?}");
}

#[tokio::test]
async fn refuses_to_connect_in_clear_or_with_a_bad_token() {
    let address = |address| connect_to(address, "token");
    assert!(matches!(address("http://bao.example:8200").await, Err(ConnectError::Address(EndpointError::Insecure))));
    assert!(matches!(address("ftp://127.0.0.1").await, Err(ConnectError::Address(EndpointError::Insecure))));
    assert!(matches!(address("bao").await, Err(ConnectError::Address(EndpointError::NoUrl))));
    assert!(matches!(connect_to("http://127.0.0.1:1", "a\nb").await, Err(ConnectError::Token)));
    let front = Front::before("http://127.0.0.1:1").await;
    front.fail(None, answer(403, &[], r#"{"errors":["permission denied"]}"#));
    assert!(matches!(address(&front.url()).await, Err(ConnectError::Refused(_))));
}

async fn connect_to(address: &str, token: &str) -> Result<OpenBao, ConnectError> {
    let (address, mount) = (address.to_owned(), "transit".to_owned());
    let login = Login::Token(Secret::copied_from(token.as_bytes()));
    OpenBao::connect(Options { address, mount, namespace: None, login, ca_pem: None }).await
}

/// Another answer than the server's.
pub(crate) fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Fault {
    Fault::Answer { status, headers: headers.to_vec(), body: body.to_owned() }
}
