//! Single sign-on through the broker, at an issuer that does wrong when it is told to.

use crate::harness::person::{Person, read};
use crate::harness::{Broker, TENANT};
use counterparts::oidc::{CLIENT, Issuer, SECRET, SUBJECT, Signer, Token};
use reqwest::Response;
use serde_json::{Value, json};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

const CALLBACK: &str = "/v1/admin/sso/callback";
const LOGOUT: &str = "/v1/admin/sso/acme/logout";

/// A broker whose tenant has an issuer, and who appoints.
async fn start() -> (Broker, Issuer, Person) {
    let mut broker = Broker::prepared(|config| config);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let issuer = Issuer::start_for(i64::try_from(now).unwrap(), &broker.url("/console/sso")).await;
    fs::write(broker.path("issuer-ca.pem"), issuer.ca_pem()).unwrap();
    fs::write(broker.path("sso-secret"), SECRET).unwrap();
    let config = fs::read_to_string(broker.path("keyfold.toml")).unwrap();
    let sso = format!(
        "\n[[sso]]\ntenant = \"acme\"\nissuer = {:?}\nclient_id = {CLIENT:?}\nclient_secret = {{ file = \"sso-secret\" }}\n\
         ca = \"issuer-ca.pem\"\n",
        issuer.url()
    );
    fs::write(broker.path("keyfold.toml"), config + &sso).unwrap();
    broker.run(&[]).await;
    broker.with_tenant().await;
    let root = Person::first(&broker).await;
    (broker, issuer, root)
}

/// Ada, whom the issuer knows, is appointed and has joined.
async fn ada(broker: &Broker, root: &mut Person) -> Person {
    let body = json!({"name": "ada", "roles": ["auditor"], "subject": SUBJECT});
    let invited = root.act_ok("/v1/admin/tenants/acme/admins", &body).await;
    Person::new(broker).joined(invited["link"].as_str().unwrap(), None).await
}

fn cookie(answer: &Response) -> String {
    answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Goes to the issuer; gives the cookie of who went, and what they come back with.
async fn go(broker: &Broker, issuer: &Issuer) -> (String, Value) {
    let begun = broker.http().post(broker.url("/v1/admin/sso")).json(&json!({"tenant": TENANT})).send().await.unwrap();
    let cookie = cookie(&begun);
    let (_, begun) = read(("POST", "/v1/admin/sso"), begun).await;
    (cookie, json!(issuer.agree(&begun["url"].as_str().unwrap().parse().unwrap()).await))
}

async fn come_back(broker: &Broker, cookie: &str, told: &Value) -> (u16, String, Option<String>) {
    let request = broker.http().post(broker.url(CALLBACK)).header("cookie", cookie).json(told);
    let answer = request.send().await.unwrap();
    let session = answer.headers().contains_key("set-cookie").then(|| self::cookie(&answer));
    let (status, body) = read(("POST", CALLBACK), answer).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned(), session)
}

async fn sign_on(broker: &Broker, issuer: &Issuer) -> (u16, String, Option<String>) {
    let (cookie, told) = go(broker, issuer).await;
    come_back(broker, &cookie, &told).await
}

async fn is_signed_in(broker: &Broker, cookie: &str) -> bool {
    let request = broker.http().get(broker.url("/v1/admin/session")).header("cookie", cookie);
    request.send().await.unwrap().status() == 200
}

async fn log_out(broker: &Broker, token: &str) -> (u16, String) {
    let request = broker.http().post(broker.url(LOGOUT)).form(&[("logout_token", token)]);
    let (status, body) = read(("POST", LOGOUT), request.send().await.unwrap()).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_says_who_somebody_is_and_the_roster_what_they_may() {
    let (broker, issuer, mut root) = start().await;
    assert_eq!(sign_on(&broker, &issuer).await.1, "sign_on_refused", "the issuer's word alone appoints nobody");
    let mut ada = ada(&broker, &mut root).await;
    let (status, _, session) = sign_on(&broker, &issuer).await;
    assert_eq!(status, 200);
    let session = session.unwrap();
    assert!(is_signed_in(&broker, &session).await);
    // What needs a passkey needs it still.
    ada.cookie = session.clone();
    let (_, shown) = ada.get("/v1/admin/session").await;
    ada.csrf = shown["csrf"].as_str().unwrap().to_owned();
    assert_eq!(ada.get("/v1/admin/tenants/acme/keks").await.0, 200);
    let path = "/v1/admin/tenants/acme/revocations";
    assert_eq!(ada.send("POST", path, (&Value::Null, None)).await.0, 403);

    let gone = format!("/v1/admin/tenants/acme/admins/{}/revoke", ada.id);
    root.act_ok(&gone, &Value::Null).await;
    assert!(!is_signed_in(&broker, &session).await);
    assert_eq!(sign_on(&broker, &issuer).await.1, "sign_on_refused");
    for secret in [SECRET, "code-1", session.split('=').nth(1).unwrap()] {
        assert!(!broker.log().contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_for_the_browser_that_asked_and_good_once() {
    let (broker, issuer, mut root) = start().await;
    ada(&broker, &mut root).await;
    let (cookie, told) = go(&broker, &issuer).await;
    let (stranger, theirs) = go(&broker, &issuer).await;
    assert_eq!(come_back(&broker, "a=b", &told).await.1, "ceremony_over", "without the cookie");
    assert_eq!(come_back(&broker, &stranger, &told).await.1, "sign_on_refused", "another browser's answer");
    assert_eq!(come_back(&broker, &stranger, &theirs).await.1, "ceremony_over", "that login is over");
    assert_eq!(come_back(&broker, &cookie, &told).await.0, 200);
    assert_eq!(come_back(&broker, &cookie, &told).await.1, "ceremony_over", "once");
    let (cookie, mut again) = go(&broker, &issuer).await;
    again["code"] = told["code"].clone();
    assert_eq!(come_back(&broker, &cookie, &again).await.1, "sign_on_refused", "a code that was used");
    let (cookie, mut mixed) = go(&broker, &issuer).await;
    mixed["iss"] = "https://evil.example".into();
    assert_eq!(come_back(&broker, &cookie, &mixed).await.1, "sign_on_refused", "another issuer's answer");
    let begun = broker.http().post(broker.url("/v1/admin/sso")).json(&json!({"tenant": "other"})).send().await.unwrap();
    assert_eq!(read(("POST", "/v1/admin/sso"), begun).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_wrong_in_anything_signs_nobody_on() {
    let (broker, issuer, mut root) = start().await;
    ada(&broker, &mut root).await;
    type Wrong = fn(&mut Token);
    let wrongs: [(&str, Wrong); 10] = [
        ("issuer", |token| token.claims["iss"] = "https://evil.example".into()),
        ("audience", |token| token.claims["aud"] = "another".into()),
        ("nonce", |token| token.claims["nonce"] = "another".into()),
        ("subject", |token| token.claims["sub"] = "another".into()),
        ("expired", |token| token.claims["exp"] = (token.claims["iat"].as_i64().unwrap() - 3_600).into()),
        ("key id", |token| token.header["kid"] = "another".into()),
        ("no signature", |token| token.sign_by(Signer::Nobody)),
        ("the public key as a secret", |token| token.sign_by(Signer::PublicKey)),
        ("another's key", |token| token.sign_by(Signer::Stranger)),
        ("algorithm", |token| token.header["alg"] = "RS256".into()),
    ];
    for (what, wrong) in wrongs {
        issuer.alter(wrong);
        let (status, code, session) = sign_on(&broker, &issuer).await;
        assert_eq!((status, &*code, session), (403, "sign_on_refused", None), "{what}");
    }
    issuer.alter(|_| {});
    assert_eq!(sign_on(&broker, &issuer).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_ends_the_sessions_that_began_there() {
    let (broker, issuer, mut root) = start().await;
    let ada = ada(&broker, &mut root).await;
    let session = sign_on(&broker, &issuer).await.2.unwrap();
    let refused = (400, "logout_refused".to_owned());
    let mut other = issuer.logout_token();
    other.claims["iss"] = "https://evil.example".into();
    assert_eq!(log_out(&broker, &issuer.sign(&other)).await, refused);
    assert_eq!(log_out(&broker, &issuer.sign(&issuer.id_token("x"))).await, refused, "an ID token is none");
    let mut elsewhere = issuer.logout_token();
    elsewhere.claims["sid"] = "session-2".into();
    elsewhere.claims["jti"] = "logout-0".into();
    assert_eq!(log_out(&broker, &issuer.sign(&elsewhere)).await.0, 204);
    assert!(is_signed_in(&broker, &session).await, "another session of hers");
    let token = issuer.sign(&issuer.logout_token());
    assert_eq!(log_out(&broker, &token).await.0, 204);
    assert!(!is_signed_in(&broker, &session).await);
    assert!(is_signed_in(&broker, &ada.cookie).await, "by passkey, not by the issuer");
    assert_eq!(log_out(&broker, &token).await, refused, "once");
}
