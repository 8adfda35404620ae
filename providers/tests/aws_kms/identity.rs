//! As whom the room calls, and how it proves that.

use crate::environment::{self, CREDENTIALS};
use crate::server::{REGION, Server, connect_to, program, script};
use crate::{CONTEXT, SECRET, wrap};
use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::front::{Fault, Front, Seen};
use keyfold_providers::aws_kms::{AwsKms, Options};
use keyfold_providers::{Error, KeyProvider, KeyRef};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "arn:aws:iam::111122223333:role/keyfold";

/// By botocore, another implementation of SigV4.
#[test]
fn signs_every_request_with_its_body() {
    environment::run("identity::signs_every_request_with_its_body", &CREDENTIALS, async {
        let server = Server::localstack().await;
        let front = Front::before(&server.url).await;
        let (kms, key) = (connect_to(&front.url()).await, server.key("SYMMETRIC_DEFAULT").await);
        let wrapped = wrap(&kms, &key).await.unwrap();
        assert!(kms.unwrap_key(&key, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
        let seen = front.seen();
        assert_eq!(seen.len(), 3, "DescribeKey, Encrypt, Decrypt");
        let (_, secret_key) = CREDENTIALS[1];
        assert!(signed_by(secret_key, &seen));
        assert!(!signed_by("another", &seen));
    });
}

fn signed_by(secret_key: &str, requests: &[Seen]) -> bool {
    let mut command = Command::new(program("KEYFOLD_LOCALSTACK"));
    command.args([&script("sigv4.py"), secret_key]).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    for request in requests {
        let headers = request.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
        let headers: serde_json::Map<_, _> = headers.collect();
        let (method, body) = (request.method.as_str(), BASE64_STANDARD.encode(&request.body));
        writeln!(input, "{}", json!({"method": method, "path": request.path, "headers": headers, "body": body}))
            .unwrap();
    }
    drop(input);
    process.wait().unwrap().success()
}

#[test]
fn assumes_the_role_of_its_tenant() {
    environment::run("identity::assumes_the_role_of_its_tenant", &CREDENTIALS, async {
        let (server, issuer) = (Server::localstack().await, Server::moto().await);
        let (sts, front) = (Front::before(&issuer.url).await, Front::before(&server.url).await);
        let (kms, key) = (assume(&sts, &front).await, server.key("SYMMETRIC_DEFAULT").await);
        let wrapped = wrap(&kms, &key).await.unwrap();
        assert!(kms.unwrap_key(&key, &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
        let asked = String::from_utf8(sts.seen()[0].body.to_vec()).unwrap();
        for part in ["Action=AssumeRole", "role%2Fkeyfold", "ExternalId=tenant-7", "RoleSessionName=keyfold"] {
            assert!(asked.contains(part), "{asked}");
        }
        let credential = |seen: &Seen| seen.headers["authorization"].to_str().unwrap().to_owned();
        let (_, access_key) = CREDENTIALS[0];
        assert!(credential(&sts.seen()[0]).contains(access_key), "the chain's credentials ask for the role");
        for seen in front.seen() {
            assert!(!credential(&seen).contains(access_key) && seen.headers.contains_key("x-amz-security-token"));
        }
        assert_eq!(sts.requests(), 1, "the role is kept");
    });
}

async fn assume(sts: &Front, kms: &Front) -> AwsKms {
    let options = Options {
        region: REGION.to_owned(),
        endpoint: Some(kms.url()),
        role_arn: Some(ROLE.to_owned()),
        external_id: Some("tenant-7".to_owned()),
        sts_endpoint: Some(sts.url()),
        ..Options::default()
    };
    AwsKms::connect(options).await.unwrap()
}

#[test]
fn tells_a_refused_role_from_a_silent_sts() {
    environment::run("identity::tells_a_refused_role_from_a_silent_sts", &CREDENTIALS, async {
        let server = Server::localstack().await;
        let (sts, front) = (Front::before(&server.url).await, Front::before(&server.url).await);
        let (kms, key) = (assume(&sts, &front).await, server.key("SYMMETRIC_DEFAULT").await);
        let error = async |fault| {
            let before = sts.requests();
            sts.fail(None, fault);
            let error = wrap(&kms, &key).await.unwrap_err();
            assert_eq!(sts.requests() - before, 1, "{error:?}");
            error
        };
        for code in ["AccessDenied", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch"] {
            let refused = error(of_sts(403, code)).await;
            assert!(matches!(refused, Error::Refused), "{code}: {refused:?}");
        }
        for (status, code) in [(500, "InternalFailure"), (503, "ServiceUnavailable")] {
            let unavailable = error(of_sts(status, code)).await;
            assert!(matches!(unavailable, Error::Unavailable { .. }), "{code}: {unavailable:?}");
        }
        let throttled = error(of_sts(400, "Throttling")).await;
        assert!(matches!(throttled, Error::Throttled { .. }), "{throttled:?}");
        let reset = error(Fault::Reset).await;
        assert!(matches!(reset, Error::Unavailable { .. }), "{reset:?}");
        let start = Instant::now();
        let silent = error(Fault::Hang).await;
        assert!(matches!(silent, Error::Unavailable { .. }), "{silent:?}");
        assert!(start.elapsed() < Duration::from_secs(7), "credentials have a deadline of their own");
        assert_eq!(front.requests(), 0, "nothing is sent without a role");
    });
}

fn of_sts(status: u16, code: &str) -> Fault {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    Fault::Answer { status, headers: vec![("content-type", "text/xml")], body }
}

#[test]
fn is_refused_without_credentials() {
    environment::run("identity::is_refused_without_credentials", &[], async {
        let kms = connect_to("http://127.0.0.1:1").await;
        let start = Instant::now();
        let error = kms.inspect(&KeyRef::new("alias/any")).await.unwrap_err();
        assert!(matches!(error, Error::Refused), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(6));
    });
}
