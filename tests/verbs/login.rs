//! Policy wants a fresh login: a device proves one that was made for this very restore, and nothing else will do.

use crate::harness::demanding::demanding;
use crate::harness::{Answer, Broker, KEYFOLD, Raw, TENANT, keyfold, outcomes, text};
use counterparts::oidc::{CLIENT, Issuer, SUBJECT, Signer, Token};
use counterparts::oidc_provider::{APP, OidcProvider};
use device::{Device, Error, RestoreRequest, Selection};
use policies::{PolicySet, library};
use protocol::login::nonce;
use protocol::messages::{RestoreOpened, RestoreState};
use protocol::sealing::{OpeningKey, SealingKey};
use secret::Secret;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::Command;

/// The library's text: 15 minutes.
const SECONDS: i64 = 900;

/// A broker that lets `alice` log in at this issuer, where the library's `login-age` holds if it is wanted.
async fn broker(issuer: (&str, &str), client: &str, is_wanted: bool) -> (Broker, String) {
    let login = format!(
        "\n[[login]]\ntenant = \"acme\"\nissuer = {:?}\nclient_id = {client:?}\nca = \"issuer-ca.pem\"\n",
        issuer.0
    );
    let mut broker = Broker::prepared(|config| demanding(config) + &login);
    fs::write(broker.path("issuer-ca.pem"), issuer.1).unwrap();
    let wanted = if is_wanted { login_age() } else { String::new() };
    fs::write(broker.path("policies.cedar"), wanted + PolicySet::default_set().text()).unwrap();
    broker.run(&[]).await;
    let vkey = broker.with_tenant().await;
    (broker, vkey)
}

fn login_age() -> String {
    library().iter().find(|ready| ready.name == "login-age").unwrap().text.to_owned()
}

/// Says who a user is to the issuer.
async fn is_at_the_issuer(broker: &Broker, user: &str, subject: &str) {
    broker.admin_ok(&format!("/{TENANT}/users/{user}/subject"), json!({"subject": subject})).await;
}

/// Seconds since 1970.
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn code(refused: Result<device::Pending<'_>, Error>) -> String {
    match refused {
        Err(Error::Refused(problem)) => problem.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let through"),
    }
}

fn asked() -> RestoreRequest {
    RestoreRequest {
        selection: Selection::Kinds(vec!["identity".parse().unwrap()]),
        reason: "new phone".parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_a_real_provider_is_good_for_the_restore_that_it_was_made_for() {
    let provider = OidcProvider::start().await;
    let (broker, vkey) = broker((provider.url(), provider.ca_pem()), APP, true).await;
    let mut phone = broker.enrol(TENANT, "alice").await;
    phone.backup(&"identity".parse().unwrap(), &Secret::copied_from(b"the key"), None).await.unwrap();
    assert_eq!(code(phone.restore(asked()).await), "policy_denied", "no login");
    let log_in = async |phone: &Device, person: &str| {
        let login = phone.begin_login();
        let token = provider.id_token(person, login.nonce(), Some("600")).await;
        (login, token.parse().unwrap())
    };
    let (login, token) = log_in(&phone, "ada").await;
    assert_eq!(code(phone.restore_after(&login, token, asked()).await), "login_invalid", "nobody said who alice is");
    is_at_the_issuer(&broker, "alice", "ada").await;
    let (login, token) = log_in(&phone, "eve").await;
    assert_eq!(code(phone.restore_after(&login, token, asked()).await), "login_invalid", "somebody else's");
    let timeless = provider.id_token("ada", login.nonce(), None).await.parse().unwrap();
    assert_eq!(code(phone.restore_after(&login, timeless, asked()).await), "login_invalid", "it does not say when");

    let (login, token): (_, protocol::login::IdToken) = log_in(&phone, "ada").await;
    let another = phone.begin_login();
    assert_eq!(
        code(phone.restore_after(&another, token.clone(), asked()).await),
        "login_invalid",
        "another receive key"
    );
    let mut tablet = broker.enrol(TENANT, "alice").await;
    assert_eq!(code(tablet.restore_after(&login, token.clone(), asked()).await), "login_invalid", "another device");
    let pending = phone.restore_after(&login, token.clone(), asked()).await.unwrap();
    let keys = pending.release(None).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it is compared with what was backed up")]
    let material = keys[0].material.expose();
    assert_eq!(material, b"the key");
    pending.acknowledge().await.unwrap();
    assert_eq!(code(phone.restore_after(&login, token.clone(), asked()).await), "login_invalid", "it was used");

    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "restore.requested"), ["ok"]);
    let requested = log.iter().find(|event| event["evt"] == "restore.requested").unwrap();
    assert!(requested["disclosed"]["ticket"].as_str().unwrap().starts_with("login at 20"), "{requested}");
    let denied = outcomes(&log, "restore.denied");
    assert_eq!(denied.iter().filter(|outcome| *outcome == "login_invalid").count(), 6, "{denied:?}");
    assert!(!broker.log().contains(token.as_str().rsplit('.').next().unwrap()));
}

/// A broker at an issuer that does what it is told, and a device of `alice`, whom that issuer knows.
struct Scene {
    broker: Broker,
    issuer: Issuer,
    device: Raw,
}

impl Scene {
    async fn start(is_wanted: bool) -> Self {
        let issuer = Issuer::start(now()).await;
        let (broker, _) = broker((issuer.url(), issuer.ca_pem()), CLIENT, is_wanted).await;
        is_at_the_issuer(&broker, "alice", SUBJECT).await;
        let device = Raw::enrol(&broker, TENANT, "alice").await;
        device.backup("identity", 1, b"the key").await;
        Self { broker, issuer, device }
    }

    /// Asks with a login that is right but for this.
    async fn ask(&self, wrong: impl FnOnce(&mut Token)) -> Answer {
        let receive = OpeningKey::generate();
        let mut token = self.issuer.id_token(&nonce(self.device.id(), receive.public()));
        wrong(&mut token);
        self.ask_with(receive.public(), &self.issuer.sign(&token)).await
    }

    async fn ask_with(&self, receive: &SealingKey, token: &str) -> Answer {
        self.device.ask(json!({"kinds": ["identity"], "id_token": token}), receive).await
    }

    /// With a login so many seconds ago.
    async fn ask_after(&self, seconds: i64) -> Answer {
        self.ask(|token| token.claims["auth_time"] = (now() - seconds).into()).await
    }

    async fn approvals(&self, opened: &RestoreOpened) -> Value {
        self.broker.admin(&format!("/{TENANT}/restores/{}/approvals", opened.restore), None).await.1
    }
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_wrong_in_anything_is_no_login() {
    let scene = Scene::start(false).await;
    type Wrong = fn(&mut Token);
    let wrongs: [(&str, Wrong); 13] = [
        ("issuer", |token| token.claims["iss"] = "https://evil.example".into()),
        ("audience", |token| token.claims["aud"] = "another".into()),
        ("nonce", |token| token.claims["nonce"] = "another".into()),
        ("no nonce", |token| token.claims["nonce"] = Value::Null),
        ("subject", |token| token.claims["sub"] = "another".into()),
        ("expired", |token| token.claims["exp"] = (now() - 61).into()),
        ("no time of login", |token| token.claims["auth_time"] = Value::Null),
        ("a login to come", |token| token.claims["auth_time"] = (now() + 120).into()),
        ("no signature", |token| token.sign_by(Signer::Nobody)),
        ("the public key as a secret", |token| token.sign_by(Signer::PublicKey)),
        ("another's key", |token| token.sign_by(Signer::Stranger)),
        ("algorithm", |token| token.header["alg"] = "RS256".into()),
        ("another token's type", |token| token.header["typ"] = "at+jwt".into()),
    ];
    for (what, wrong) in wrongs {
        assert_eq!(refused(&scene.ask(wrong).await), (403, "login_invalid".to_owned()), "{what}");
    }
    for no_token in [json!(""), json!("a b"), json!("a".repeat(8_193)), Value::Null] {
        let receive = OpeningKey::generate();
        let answer = scene.device.ask(json!({"kinds": ["identity"], "id_token": no_token}), receive.public()).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(scene.ask(|_| {}).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_restores_with_one_login_one_is_opened() {
    let scene = Scene::start(true).await;
    let receive = OpeningKey::generate();
    let token = scene.issuer.sign(&scene.issuer.id_token(&nonce(scene.device.id(), receive.public())));
    let both = tokio::join!(scene.ask_with(receive.public(), &token), scene.ask_with(receive.public(), &token));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_grows_older_until_the_release() {
    let scene = Scene::start(true).await;
    assert_eq!(refused(&scene.ask_after(SECONDS + 1).await), (403, "policy_denied".to_owned()));
    let opened: RestoreOpened = scene.ask_after(SECONDS - 5).await.json();
    assert_eq!(opened.state, RestoreState::Approved);
    let fresh: RestoreOpened = scene.ask_after(0).await.json();
    let shown = scene.approvals(&opened).await;
    assert_eq!((&shown["allowed"], &shown["forbidden_by"]), (&json!(true), &json!([])));
    assert!((shown["login_at"].as_i64().unwrap() / 1_000 - (now() - SECONDS + 5)).abs() < 60, "{shown}");

    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(refused(&scene.device.release(&opened).await), (403, "policy_denied".to_owned()));
    let shown = scene.approvals(&opened).await;
    assert_eq!((&shown["allowed"], &shown["forbidden_by"][0]["id"]), (&json!(false), &json!("login-age")));
    assert_eq!(scene.device.release(&fresh).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_the_database_gives_no_login_to_a_restore() {
    let scene = Scene::start(true).await;
    let with: RestoreOpened = scene.ask_after(SECONDS - 5).await.json();
    let _fresh: RestoreOpened = scene.ask_after(0).await.json();
    let newest = "UPDATE restores SET circumstances = (SELECT circumstances FROM restores ORDER BY id DESC LIMIT 1)";
    scene.broker.sql(newest).await;
    let answer = scene.device.release(&with).await;
    assert_eq!(refused(&answer), (503, "storage_unavailable".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dry_run_knows_who_had_logged_in() {
    let scene = Scene::start(false).await;
    assert_eq!(scene.ask_after(10).await.status, 201);
    assert_eq!(scene.ask_after(SECONDS + 10).await.status, 201, "no policy asks");
    scene.device.open("identity").await;
    let text = login_age() + PolicySet::default_set().text();
    let tried = scene.broker.admin_ok("/acme/policies/dry-run", json!({"text": text, "days": 1})).await;
    assert_eq!((&tried["looked_at"], &tried["refused"]), (&json!(3), &json!(2)), "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_without_an_answer_is_waited_for() {
    let scene = Scene::start(false).await;
    scene.issuer.describe(|document| document["issuer"] = "https://evil.example".into());
    for _ in 0..2 {
        let answer = scene.ask(|_| {}).await;
        assert_eq!(refused(&answer), (503, "issuer_unavailable".to_owned()), "though no policy asks");
    }
    assert!(scene.broker.log().contains("gave no usable answer a moment ago"), "it is not asked at once again");
    scene.issuer.describe(|_| {});
    let mut status = 503;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        status = scene.ask(|_| {}).await.status;
        if status != 503 {
            break;
        }
    }
    assert_eq!(status, 201);
}

/// Hands the nonce over and waits for the token, as a program does that opens a browser.
const PROGRAM: &str = "#!/bin/sh\ncd \"$(dirname \"$0\")\" && printf %s \"$1\" > nonce.new && mv nonce.new nonce\n\
                       for _ in $(seq 600); do [ -s token ] && break; sleep 0.1; done; cat token\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_has_a_program_log_the_user_in() {
    let scene = Scene::start(true).await;
    let broker = &scene.broker;
    let path = |name: &str| broker.path(name).to_str().unwrap().to_owned();
    fs::write(broker.path("code"), broker.code(TENANT, "alice").await).unwrap();
    fs::write(broker.path("log-in"), PROGRAM).unwrap();
    fs::set_permissions(broker.path("log-in"), PermissionsExt::from_mode(0o700)).unwrap();
    let (state, passphrase) = (path("device"), path("passphrase"));
    let device = ["device", "--state", &state, "--passphrase-file", &passphrase];
    let (url, ca, enrolment) = (broker.url(""), path("ca.pem"), path("code"));
    let enrol =
        ["enrol", "--url", &url, "--ca", &ca, "--tenant", TENANT, "--code-file", &enrolment, "--name", "laptop"];
    let enrolled = keyfold(&[&device[..], &enrol].concat());
    assert!(enrolled.status.success(), "{}", text(&enrolled.stderr));

    let (out, program) = (path("out"), path("log-in"));
    let restore = ["restore", "identity", "--reason", "test", "--out", &out, "--login-command", &program];
    let mut restore = Command::new(KEYFOLD).args(device).args(restore).kill_on_drop(true).spawn().unwrap();
    let nonce = loop {
        if let Ok(nonce) = fs::read_to_string(broker.path("nonce")) {
            break nonce;
        }
        assert!(restore.try_wait().unwrap().is_none(), "it ended without a login");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    fs::write(broker.path("token.new"), scene.issuer.sign(&scene.issuer.id_token(&nonce))).unwrap();
    fs::rename(broker.path("token.new"), broker.path("token")).unwrap();
    assert!(restore.wait().await.unwrap().success());
    assert_eq!(fs::read(broker.path("out/identity")).unwrap(), b"the key");
}
