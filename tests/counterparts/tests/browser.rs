//! The browser does what the tests of pages rely on: it signs, it complains, and it leaves nothing behind.
#![cfg(test)]

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use keyfold_counterparts::browser::{Answer, Browser, Complaint, Credential, Look, Site};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::sleep;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'";
const GOOD: &str = "<!doctype html><html lang=en><title>Good</title><meta name=viewport content='width=device-width'>\
    <link rel=icon href=/icon.svg><link rel=stylesheet href=/style.css><script type=module src=/script.js></script>\
    <main><h1>Good</h1><p id=said>Without script</p><label>Name <input id=name></label><button>Say it</button></main>";
const BAD: &str = "<!doctype html><title>Bad</title><link rel=icon href=/icon.svg>\
    <main><h1>Bad</h1><img src=/icon.svg><p style='color:red'>Inline</p></main>";
const BROKEN: &str = "<!doctype html><html lang=en><title>Broken</title><link rel=icon href=/icon.svg>\
    <script>document.title = 'taken over'</script><script type=module src=/missing.js></script>\
    <main><h1>Broken</h1></main>";
const STYLE: &str = ":root { color-scheme: light dark } body { background: Canvas; color: CanvasText }";
const SCRIPT: &str = "document.querySelector('button').addEventListener('click', () => {
    document.querySelector('#said').textContent = `Hello ${document.querySelector('#name').value}`;
    if (document.querySelector('#name').value === '') { throw new Error('nobody'); }
});";
const ICON: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'><path d='M0 0h1v1'/></svg>";

async fn site() -> Site {
    let answer = |path: &'static str, kind: &'static str, body: &str| Answer {
        path,
        headers: vec![(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)],
        body: body.to_owned(),
    };
    Site::start([
        answer("/good", "text/html", GOOD),
        answer("/bad", "text/html", BAD),
        answer("/broken", "text/html", BROKEN),
        answer("/style.css", "text/css", STYLE),
        answer("/script.js", "text/javascript", SCRIPT),
        answer("/icon.svg", "image/svg+xml", ICON),
    ])
    .await
}

/// Makes a passkey on the page that is open.
async fn register(browser: &Browser) -> Value {
    let create = "const options = PublicKeyCredential.parseCreationOptionsFromJSON(arguments[0]);
        return navigator.credentials.create({publicKey: options}).then(made => made.toJSON())";
    let options = json!({
        "rp": {"name": "Test"},
        "user": {"id": "YWxpY2U", "name": "alice", "displayName": "Alice"},
        "challenge": "Y2hhbGxlbmdl",
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}],
        "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
    });
    browser.run(create, json!([options])).await
}

/// Signs a challenge; a refusal is the name of the exception.
async fn sign(browser: &Browser, challenge: &str) -> Value {
    let ask = "const options = PublicKeyCredential.parseRequestOptionsFromJSON(arguments[0]);
        return navigator.credentials.get({publicKey: options}).then(made => made.toJSON(), error => error.name)";
    let options = json!({"challenge": challenge, "userVerification": "required"});
    json!({"challenge": challenge, "credential": browser.run(ask, json!([options])).await})
}

/// The counters that the oracle reads in signatures that it has verified.
fn verified(site: &Site, registration: &Value, assertions: &[Value]) -> Vec<u64> {
    let question =
        json!({"origin": site.url(), "rp_id": "localhost", "registration": registration, "assertions": assertions});
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let oracles = env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), PathBuf::from);
    let mut oracle = Command::new(oracles.join("bin/python"))
        .arg(root.join("tests/oracles/webauthn.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    oracle.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = oracle.wait_with_output().unwrap();
    assert!(output.status.success(), "{question:#}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let assertions = answer["assertions"].as_array().unwrap();
    assert!(assertions.iter().all(|assertion| assertion["user_verified"] == true), "{answer}");
    assertions.iter().map(|assertion| assertion["counter"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_passkey_signs_and_its_clone_falls_behind() {
    let site = site().await;
    let browser = Browser::start().await;
    let authenticator = browser.authenticator().await;
    browser.go(&site.at("/good")).await;
    let registration = register(&browser).await;
    let stolen: Vec<Credential> = authenticator.credentials().await;
    let assertions = [sign(&browser, "Zmlyc3Q").await, sign(&browser, "c2Vjb25k").await];
    let counters = verified(&site, &registration, &assertions);
    assert!(counters[0] < counters[1], "{counters:?}");

    let thief = Browser::start().await;
    thief.authenticator().await.put(&stolen[0]).await;
    thief.go(&site.at("/good")).await;
    let cloned = verified(&site, &registration, &[sign(&thief, "dGhpcmQ").await]);
    assert!(cloned[0] < counters[1], "{cloned:?} {counters:?}");
    thief.end().await;

    authenticator.verifies_user(false).await;
    assert_eq!(sign(&browser, "Zm91cnRo").await["credential"], "NotAllowedError");
    authenticator.verifies_user(true).await;
    authenticator.remove(&stolen[0]).await;
    assert_eq!(sign(&browser, "ZmlmdGg").await["credential"], "NotAllowedError");
    browser.end().await;
}

#[tokio::test]
async fn a_page_is_read_filled_in_and_judged() {
    let site = site().await;
    let browser = Browser::start().await;
    browser.go(&site.at("/good")).await;
    assert_eq!(browser.title().await, "Good");
    assert_eq!(browser.find("input").await.accessible_name().await, "Name");
    browser.find("#name").await.type_text("Alice").await;
    browser.find("button").await.click().await;
    browser.wait_until("return document.body.innerText.includes('Hello Alice')").await;
    assert!(browser.axe().await.is_empty());
    let names: BTreeSet<_> = browser.loaded().await.into_iter().map(|loaded| loaded.name).collect();
    assert!(["/good", "/style.css", "/script.js"].iter().all(|path| names.contains(&site.at(path))), "{names:?}");
    let bytes: u64 = browser.loaded().await.iter().map(|loaded| loaded.bytes).sum();
    let bodies = (GOOD.len() + STYLE.len() + SCRIPT.len()) as u64;
    assert!((bodies..bodies + 5_000).contains(&bytes), "{bytes}");

    browser.go(&site.at("/bad")).await;
    let rules: BTreeSet<_> = browser.axe().await.into_iter().map(|violation| violation.id).collect();
    assert_eq!(rules, BTreeSet::from(["html-has-lang".to_owned(), "image-alt".to_owned()]));
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|complaint| complaint.message.contains("style-src")), "{complaints:#?}");
    assert!(!complaints.is_empty());
    browser.end().await;
}

#[tokio::test]
async fn a_page_is_seen_light_dark_on_a_phone_and_without_script() {
    let site = site().await;
    let browser = Browser::start().await;
    let mut seen = BTreeSet::new();
    for look in Look::ALL {
        browser.look(look).await;
        browser.go(&site.at("/good")).await;
        let dark = browser.run("return matchMedia('(prefers-color-scheme: dark)').matches", json!([])).await;
        assert_eq!(dark, look == Look::Dark);
        let width = browser.run("return innerWidth", json!([])).await;
        assert_eq!(width, if look == Look::Phone { 390 } else { 1_280 });
        assert!(!browser.is_too_wide().await);
        let picture = browser.screenshot().await;
        assert_eq!((&picture[..4], &picture[8..12]), (&b"RIFF"[..], &b"WEBP"[..]));
        seen.insert(picture);
    }
    assert_eq!(seen.len(), Look::ALL.len());

    browser.runs_scripts(false).await;
    browser.go(&site.at("/good")).await;
    browser.find("button").await.click().await;
    assert!(browser.text().await.contains("Without script"));
    assert!(browser.first_paint().await.is_some());
    browser.end().await;
}

#[tokio::test]
async fn what_goes_wrong_on_a_page_is_a_complaint() {
    let site = site().await;
    let browser = Browser::start().await;
    browser.go(&site.at("/broken")).await;
    assert_eq!(browser.title().await, "Broken");
    let complaints = browser.complaints().await;
    let has = |complaints: &[Complaint], source: &str, words: &str| {
        complaints.iter().any(|complaint| complaint.source == source && complaint.message.contains(words))
    };
    assert!(has(&complaints, "security", "Content Security Policy"), "{complaints:#?}");
    assert!(has(&complaints, "network", "404"), "{complaints:#?}");

    browser.go(&site.at("/good")).await;
    browser.find("button").await.click().await;
    browser.wait_until("return document.body.innerText.includes('Hello')").await;
    let complaints = browser.complaints().await;
    assert!(has(&complaints, "javascript", "nobody"), "{complaints:#?}");
    assert!(browser.complaints().await.is_empty());
    browser.find("button").await.click().await;
    let failed = tokio::spawn(browser.end()).await;
    assert!(failed.unwrap_err().is_panic());
}

/// All processes below this one, by id.
fn descendants(parent: u32) -> BTreeSet<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let children: Vec<u32> = children.flat_map(|line| ids(&line)).collect();
    children.iter().copied().chain(children.iter().flat_map(|child| descendants(*child))).collect()
}

fn ids(line: &str) -> Vec<u32> {
    line.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_test_that_fails_leaves_no_browser_behind() {
    let (started, until_started) = tokio::sync::oneshot::channel();
    let failed = tokio::spawn(async move {
        let browser = Browser::start().await;
        started.send(descendants(browser.process_id())).unwrap();
        browser.run("throw new Error('a test fails')", json!([])).await;
    });
    let browsers = until_started.await.unwrap();
    assert!(browsers.len() > 3, "{browsers:?}");
    assert!(failed.await.unwrap_err().is_panic());
    for _ in 0..200 {
        if !browsers.iter().any(|process| is_alive(*process)) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?} live on", browsers.iter().filter(|process| is_alive(**process)).collect::<Vec<_>>());
}
