//! How long a login lasts, and what becomes of calls when it ends.

use crate::faults::answer;
use crate::logins::{app_role, new_secret_id};
use crate::server::Server;
use crate::{LEAST_PRIVILEGE, wrap};
use counterparts::front::Front;
use keyfold_providers::openbao::OpenBao;
use keyfold_providers::{Error, KeyRef};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::test]
async fn renews_its_token_until_it_is_dropped() {
    let server = Server::start().await;
    let bao = server.connect_as(LEAST_PRIVILEGE, "3s").await;
    works_for(&bao, Duration::from_secs(7)).await;
    drop(bao);
    sleep(Duration::from_secs(4)).await;
    assert!(server.accessors().await.is_empty(), "only the root token is left");
}

/// No call fails while tokens end and others take their place: the old one is used until there is a new one.
#[tokio::test]
async fn logs_in_anew_before_the_token_ends() {
    let renewable = lives(json!({"token_ttl": "3s"}));
    let limited = lives(json!({"token_ttl": "3s", "token_max_ttl": "5s"}));
    let batch = lives(json!({"token_ttl": "3s", "token_type": "batch"}));
    let ([one_login, renewed], [limited, _], [batch, none]) = tokio::join!(renewable, limited, batch);
    assert!(one_login == 1 && renewed >= 3, "{one_login} logins, {renewed} renewals");
    assert!((2..=4).contains(&limited), "{limited} logins where the token cannot outlive five seconds");
    assert!((4..=6).contains(&batch) && none == 0, "{batch} logins, {none} renewals of what cannot be renewed");
}

/// Uses a login with `role` for ten seconds; how many logins and renewals that took.
async fn lives(role: Value) -> [usize; 2] {
    let server = Server::start().await;
    let (front, login) = (server.front().await, app_role(&server, role).await);
    let bao = server.connect_through(&front, login).await.unwrap();
    works_for(&bao, Duration::from_secs(10)).await;
    ["auth/approle/login", "auth/token/renew-self"].map(|path| asked(&front, path))
}

#[tokio::test]
async fn logs_in_anew_when_its_token_was_revoked() {
    let server = Server::start().await;
    let (front, login) = (server.front().await, app_role(&server, json!({})).await);
    let bao = server.connect_through(&front, login).await.unwrap();
    server.revoke_tokens().await;
    let refused = wrap(&bao, &KeyRef::new("first")).await;
    assert!(matches!(refused, Err(Error::Refused)), "the first call cannot know why: {refused:?}");
    works_within(&bao, Duration::from_secs(2)).await;
    assert_eq!(asked(&front, "auth/approle/login"), 2);
}

/// A policy that refuses is no reason for a new login, and few questions are asked about it.
#[tokio::test]
async fn a_missing_right_is_no_reason_to_log_in_anew() {
    let server = Server::start().await;
    let (front, login) = (server.front().await, app_role(&server, json!({})).await);
    let bao = server.connect_through(&front, login).await.unwrap();
    server.allow(r#"path "team/transit/keys/second" { capabilities = ["read"] }"#).await;
    let start = Instant::now();
    for _ in 0..100 {
        assert!(matches!(wrap(&bao, &KeyRef::new("first")).await, Err(Error::Refused)));
    }
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(asked(&front, "auth/approle/login"), 1);
    let (looks, seconds) = (asked(&front, "auth/token/lookup-self"), start.elapsed().as_secs());
    assert!(looks >= 1 && looks as u64 <= seconds + 1, "{looks} looks at the token in {seconds} seconds");
}

/// Nothing is sent without a token; the operator puts a new secret id into the file, and it goes on.
#[tokio::test]
async fn recovers_from_a_login_that_is_refused() {
    let server = Server::start().await;
    let (front, login) = (server.front().await, app_role(&server, json!({"secret_id_num_uses": 1})).await);
    let bao = server.connect_through(&front, login).await.unwrap();
    server.revoke_tokens().await;
    assert!(matches!(wrap(&bao, &KeyRef::new("first")).await, Err(Error::Refused)));
    sleep(Duration::from_secs(1)).await;
    let before = front.requests();
    for _ in 0..10 {
        assert!(matches!(wrap(&bao, &KeyRef::new("first")).await, Err(Error::Refused)));
    }
    assert_eq!(front.requests(), before, "nothing is asked without a token");
    new_secret_id(&server).await;
    works_within(&bao, Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_server_that_is_not_ready_yet_is_asked_again() {
    let server = Server::start().await;
    let (front, login) = (server.front().await, app_role(&server, json!({})).await);
    front.fail(None, answer(503, &[], r#"{"errors":["OpenBao is sealed"]}"#));
    let bao = server.connect_through(&front, login).await.unwrap();
    let early = wrap(&bao, &KeyRef::new("first")).await;
    assert!(matches!(early, Err(Error::Unavailable { .. })), "{early:?}");
    assert_eq!(front.requests(), 1, "nothing but the login was sent");
    // What stands in between may refuse for reasons of its own.
    front.fail(None, answer(403, &[], "<html>"));
    sleep(Duration::from_millis(5500)).await;
    assert!(matches!(wrap(&bao, &KeyRef::new("first")).await, Err(Error::Unavailable { .. })));
    front.heal();
    works_within(&bao, Duration::from_secs(7)).await;
}

/// A token that was made elsewhere: nobody can make another, so it is used whatever the server says.
#[tokio::test]
async fn a_given_token_is_never_given_up() {
    let server = Server::start().await;
    let (front, token) = (server.front().await, server.token(LEAST_PRIVILEGE, "1h").await);
    let bao = server.connect_through(&front, token).await.unwrap();
    front.fail(None, answer(403, &[], r#"{"errors":["permission denied"]}"#));
    let start = Instant::now();
    for _ in 0..100 {
        assert!(matches!(wrap(&bao, &KeyRef::new("first")).await, Err(Error::Refused)));
    }
    sleep(Duration::from_millis(500)).await;
    let (looks, seconds) = (asked(&front, "auth/token/lookup-self"), start.elapsed().as_secs());
    assert!(looks as u64 <= 3 + 2 * seconds, "{looks} looks at the token in {seconds} seconds");
    front.heal();
    wrap(&bao, &KeyRef::new("first")).await.unwrap();
}

async fn works_for(bao: &OpenBao, time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        wrap(bao, &KeyRef::new("first")).await.unwrap_or_else(|error| panic!("{error:?} at {:?}", start.elapsed()));
        sleep(Duration::from_millis(50)).await;
    }
}

/// Until there is a token, calls say that they are refused or cannot be made, and nothing else.
pub(crate) async fn works_within(bao: &OpenBao, time: Duration) {
    let start = Instant::now();
    while let Err(error) = wrap(bao, &KeyRef::new("first")).await {
        assert!(matches!(error, Error::Refused | Error::Unavailable { .. }), "{error:?}");
        assert!(start.elapsed() < time, "no new login");
        sleep(Duration::from_millis(20)).await;
    }
}

/// How many requests had `path` in their path.
fn asked(front: &Front, path: &str) -> usize {
    front.seen().iter().filter(|request| request.path.contains(path)).count()
}
