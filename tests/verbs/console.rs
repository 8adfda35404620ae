//! The admin pages, as whoever may use the API gets them.

use crate::harness::{Broker, Raw, TENANT};
use serde_json::json;

async fn page(broker: &Broker, path: &str) -> (u16, String) {
    let ask = broker.http().get(broker.url(path)).bearer_auth(broker.token());
    let answer = ask.send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_there_and_says_what_the_api_says_as_text() {
    let broker = Broker::start().await;
    broker.admin_ok("", json!({"id": "evil", "name": "<script>alert(1)</script>"})).await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    let (opened, _) = device.open("identity").await;
    let (_, keks) = broker.admin(&format!("/{TENANT}/keks"), None).await;
    let (_, records) = broker.admin(&format!("/{TENANT}/records"), None).await;
    let id = |list: &serde_json::Value| list["items"][0]["id"].as_str().unwrap().to_owned();
    let rewrap = broker.admin_ok(&format!("/{TENANT}/rewraps"), json!({})).await;
    let below = [
        format!("/rewraps/{}", rewrap["id"].as_str().unwrap()),
        String::new(),
        "/restores".into(),
        format!("/restores/{}", opened.restore),
        "/locks".into(),
        "/people".into(),
        "/people/alice".into(),
        "/devices".into(),
        format!("/devices/{}", device.id()),
        "/records".into(),
        format!("/records/{}", id(&records)),
        "/keks".into(),
        format!("/keks/{}", id(&keks)),
        "/sinks".into(),
        "/findings".into(),
        "/events".into(),
        "/events?evt=restore.*".into(),
        "/events/0".into(),
    ];
    for path in below {
        let (status, text) = page(&broker, &format!("/console/tenants/{TENANT}{path}")).await;
        assert_eq!(status, 200, "{path}: {text}");
        assert!(text.len() < 60_000 && !text.contains(" style=") && !text.contains(" onclick="), "{path}");
    }
    let (_, tenants) = page(&broker, "/console").await;
    assert!(tenants.contains("&#60;script&#62;alert(1)") && !tenants.contains("<script>alert"), "{tenants}");
    for path in ["/console/sign-in", "/console/join", &format!("/console/search?tenant={TENANT}&q=alice")] {
        assert_eq!(page(&broker, path).await.0, 200, "{path}");
    }
    assert_eq!(page(&broker, "/console/nowhere").await.0, 404);
    assert_eq!(page(&broker, &format!("/console/tenants/{TENANT}/people/nobody")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_a_file_that_no_spreadsheet_runs() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.admin_ok("", json!({"id": "evil", "name": "=HYPERLINK(1)"})).await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    device.open("identity").await;
    let lists = ["people", "devices", "records", "restores", "locks", "keks", "sinks", "findings", "events"];
    let empty = ["locks", "findings", "admins", "tokens", "sinks/events/dead-letters"];
    for list in lists.iter().chain(&empty[2..]) {
        let (status, text) = page(&broker, &format!("/console/tenants/{TENANT}/{list}.csv")).await;
        assert_eq!((status, text.starts_with('"')), (200, true), "{list}: {text}");
        assert_eq!(text.lines().count() > 1, !empty.contains(list), "{list}: {text}");
    }
    let (_, events) = page(&broker, &format!("/console/tenants/{TENANT}/events.csv?evt=record.*")).await;
    assert_eq!(events.lines().count(), 2, "as narrowed as the page: {events}");
    let (_, tenants) = page(&broker, "/console/tenants.csv").await;
    assert!(tenants.contains("\"'=HYPERLINK(1)\""), "{tenants}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_signed_in_is_sent_to_do_so() {
    let broker = Broker::start().await;
    let answer = broker.http().get(broker.url("/console/tenants/a/people")).send().await.unwrap();
    let at = (answer.status().as_u16(), answer.url().path().to_owned());
    let sent = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    assert!(at.1 == "/console/sign-in" || sent.is_some_and(|to| to.starts_with("/console/sign-in?next=")), "{at:?}");
}
