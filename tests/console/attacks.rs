//! What somebody tries who is not the person in front of the console: in a real browser, because the browser is part of the
//! defence.

use crate::harness::{Broker, Raw};
use crate::pages;
use crate::sample::{self, TENANT};
use crate::visitor::{Visitor, first_link};
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use counterparts::browser::{Answer, Site};
use protocol::encoding::Base64Url;
use protocol::jws::{self, DeviceKey, Signer};
use protocol::sealing::OpeningKey;
use serde_json::json;

/// What runs wherever it gets into a page as markup.
const MARKUP: &str =
    "\"'><img src=x onerror=window.hacked=1><script>window.hacked=1</script><svg onload=window.hacked=1>";

/// A page of somebody else's on the same host, which is the same site: the browser sends the session's cookie along.
async fn elsewhere(body: String) -> Site {
    Site::start([Answer { path: "/", headers: vec![(CONTENT_TYPE, "text/html")], body }]).await
}

async fn owner(broker: &Broker) -> Visitor {
    Visitor::join(broker, &first_link(broker), Some("olga")).await
}

async fn tenants(visitor: &Visitor) -> usize {
    let (status, page) = visitor.get("/v1/admin/tenants").await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_can_make_the_browser_ask_and_gets_nothing_done() {
    let broker = Broker::start().await;
    let owner = owner(&broker).await;
    let before = tenants(&owner).await;
    let site = elsewhere(format!(
        "<!doctype html><title>Win</title><link rel=icon href=data:,><form method=post enctype=text/plain action='{}'>
         <input name='{{\"id\":\"evil\",\"name\":\"' value='\"}}'><button>Win</button></form>",
        broker.url("/v1/admin/tenants")
    ))
    .await;
    owner.browser.go(&site.at("/")).await;
    let ask = "const [url, body] = arguments;
        return fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body}).then(answer => answer.type)";
    let evil = json!({"id": "evil", "name": "evil"}).to_string();
    for path in ["/v1/admin/tenants", "/v1/admin/sign-out", "/v1/admin/acts"] {
        assert_eq!(owner.browser.run(ask, json!([broker.url(path), evil])).await, "opaque", "{path}");
    }
    owner.browser.find("button").await.click().await;
    owner.browser.wait_until("return location.pathname === '/v1/admin/tenants'").await;
    assert!(owner.browser.text().await.contains("cross_site"));
    owner.browser.complaints().await;
    owner.open("/console").await;
    assert_eq!(tenants(&owner).await, before, "and the session is still there");
    owner.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_there_before_is_not_the_one_that_begins() {
    let broker = Broker::start().await;
    let victim = owner(&broker).await;
    let planted = "__Host-keyfold=cGxhbnRlZA; Path=/; Secure; HttpOnly";
    let headers = vec![(CONTENT_TYPE, "text/html"), (SET_COOKIE, planted)];
    let body = "<!doctype html><title>Here</title><link rel=icon href=data:,>".to_owned();
    let site = Site::start([Answer { path: "/", headers, body }]).await;
    victim.browser.go(&site.at("/")).await;
    victim.open("/console").await;
    victim.browser.wait_until("return location.pathname === '/console/sign-in'").await;
    assert_eq!(cookie(&victim).await, "cGxhbnRlZA", "the attack is possible: cookies know no ports");
    victim.sign_in().await;
    assert_ne!(cookie(&victim).await, "cGxhbnRlZA");
    assert_eq!(victim.get("/v1/admin/session").await.0, 200);
    victim.leave().await;
}

/// The value of the session's cookie; it must be the browser's only one, and out of scripts' reach.
async fn cookie(visitor: &Visitor) -> String {
    let cookies = visitor.browser.cookies().await;
    let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
    let is = (&cookie["name"], &cookie["httpOnly"], &cookie["secure"]);
    assert_eq!(is, (&json!("__Host-keyfold"), &json!(true), &json!(true)));
    cookie["value"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_shows_in_a_frame_of_somebody_else() {
    let broker = Broker::start().await;
    let owner = owner(&broker).await;
    for path in ["/console", "/console/sign-in", "/console/tenants/installation/admins"] {
        let frame = format!("<iframe src='{}'></iframe>", broker.url(path));
        let site = elsewhere(format!("<!doctype html><title>Win</title><link rel=icon href=data:,>{frame}")).await;
        owner.browser.go(&site.at("/")).await;
        let complaints = owner.browser.complaints().await;
        let refused = |message: &str| message.contains("frame-ancestors");
        assert!(complaints.iter().any(|complaint| refused(&complaint.message)), "{path}: {complaints:#?}");
    }
    owner.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_devices_and_administrators_write_is_text_on_every_page() {
    let broker = Broker::start().await;
    let sample = sample::fill(&broker).await;
    write_markup(&broker, &sample.phone).await;
    let owner = Visitor::arrive(&broker).await;
    owner.browser.devtools("Emulation.setUserAgentOverride", json!({"userAgent": MARKUP})).await;
    owner.take_up(&first_link(&broker), Some("olga")).await;
    owner.open(&format!("/console/tenants/{TENANT}/admins")).await;
    let email = "\"'><img/src=x/onerror=window.hacked=1>@example.com";
    let fields = [("name", "mallory"), ("email", email), ("roles", "auditor")];
    owner.act_once("Appoint an administrator", &fields).await;
    for (name, path) in pages::paths(&sample) {
        owner.open(&path).await;
        let found =
            "return [window.hacked, document.querySelectorAll('img, script:not([src]), [onload], [onerror]').length]";
        assert_eq!(owner.browser.run(found, json!([])).await, json!([null, 0]), "{name}");
    }
    // The test sees something only where the text is: these pages show it.
    let of_tenant = ["/restores", "/devices", "/people/alice", "/keks", "/events", "/admins"];
    let of_tenant = of_tenant.map(|page| format!("/console/tenants/{TENANT}{page}"));
    for page in of_tenant.iter().map(String::as_str).chain(["/console", "/console/account"]) {
        owner.open(page).await;
        assert!(owner.browser.text().await.contains("onerror=window.hacked"), "{page}");
    }
    owner.leave().await;
}

/// In every field that takes such a text.
async fn write_markup(broker: &Broker, phone: &Raw) {
    broker.admin_ok("", json!({"id": "evil", "name": MARKUP})).await;
    enrol_as(broker, MARKUP, &MARKUP[..60]).await;
    let receive_key = serde_json::to_value(Base64Url(OpeningKey::generate().public().clone())).unwrap();
    let ask = json!({"kinds": ["identity"], "receive_key": receive_key, "reason": MARKUP});
    let restore = phone.post(&phone.path("/restores"), &ask).await;
    assert_eq!(restore.status, 201, "{restore:?}");
    let (_, keks) = broker.admin(&format!("/{TENANT}/keks"), None).await;
    let kek = keks["items"][0]["id"].as_str().unwrap();
    broker.admin_ok(&format!("/{TENANT}/keks/{kek}/destructions"), json!({"reason": MARKUP})).await;
}

/// Enrols a device of Alice's that calls itself this.
async fn enrol_as(broker: &Broker, name: &str, platform: &str) {
    let key = DeviceKey::generate_p256();
    let payload = json!({"code": broker.code(TENANT, "alice").await, "name": name, "platform": platform});
    let nonce = broker.http().get(broker.url("/v1/nonce")).send().await.unwrap();
    let nonce = nonce.headers()["replay-nonce"].to_str().unwrap().to_owned();
    let url = broker.url(&format!("/v1/tenants/{TENANT}/devices"));
    let body = key.sign_request(&Signer::Jwk(key.public().clone()), &nonce, &url, payload.to_string().as_bytes());
    let answer = broker.http().post(url).header(CONTENT_TYPE, jws::CONTENT_TYPE).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}
