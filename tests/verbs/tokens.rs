//! API tokens of people: what they may do, and that nothing makes it more.

use crate::harness::person::{Person, read};
use crate::harness::{Broker, TENANT};
use serde_json::{Value, json};

const TOKENS: &str = "/v1/admin/tenants/acme/tokens";

async fn ask(broker: &Broker, token: &str, path: &str, body: Option<Value>) -> (u16, String) {
    let (method, request) = match body {
        Some(body) => ("POST", broker.http().post(broker.url(path)).json(&body)),
        None => ("GET", broker.http().get(broker.url(path))),
    };
    let answer = request.bearer_auth(token).send().await.unwrap();
    let (status, body) = read((method, path), answer).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn of(name: &str, acts: &[&str]) -> Value {
    json!({"name": name, "acts": acts, "days": 30})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_its_scope_says_until_it_ends() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.tenant("other", "bob").await;
    let mut root = Person::first(&broker).await;
    let made = root.act_ok(TOKENS, &of("ci", &["users:read", "users:write"])).await;
    let token = made["token"].as_str().unwrap();
    let users = "/v1/admin/tenants/acme/users";
    assert_eq!(ask(&broker, token, users, None).await.0, 200);
    assert_eq!(ask(&broker, token, users, Some(json!({"id": "carol"}))).await.0, 201);
    let not_allowed = (403, "not_allowed".to_owned());
    assert_eq!(ask(&broker, token, "/v1/admin/tenants/acme/keks", None).await, not_allowed);
    assert_eq!(ask(&broker, token, TOKENS, Some(of("more", &["users:read"]))).await, not_allowed);
    assert_eq!(ask(&broker, token, "/v1/admin/tenants", None).await, not_allowed, "not everywhere");
    assert_eq!(ask(&broker, token, "/v1/admin/tenants/other/users", None).await, (404, "not_found".to_owned()));
    assert_eq!(ask(&broker, token, "/v1/admin/session", None).await, (403, "person_needed".to_owned()));

    let (_, listed) = root.get(TOKENS).await;
    assert_eq!(listed["items"][0]["name"], "ci");
    assert!(listed["items"][0]["token"].is_null());
    let stored = broker.sql("SELECT hex(hash) || hex(sealed) FROM tokens").await.unwrap();
    assert!(!stored.contains(&hex::encode_upper(token)), "it is stored as a hash");
    assert!(!broker.log().contains(token));
    root.act_ok(&format!("{TOKENS}/{}/revoke", made["id"].as_str().unwrap()), &Value::Null).await;
    assert_eq!(ask(&broker, token, users, None).await, (401, "unauthorized".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_holds_more_than_its_maker_or_what_is_for_people() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let mut root = Person::first(&broker).await;
    for act in ["restores:approve", "admins:write", "tokens:write", "policies:activate", "keks:destroy"] {
        let (status, problem) = root.act(TOKENS, &of("greedy", &[act])).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("not_allowed")), "{act}");
    }
    let mut own = root.appoint(&broker, TENANT, ("bea", &["owner"])).await;
    let (status, problem) = own.act("/v1/admin/tenants/installation/tokens", &of("up", &["users:read"])).await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")));
    let mut officer = root.appoint(&broker, TENANT, ("carl", &["security_officer"])).await;
    assert_eq!(officer.act(TOKENS, &of("mine", &["users:read"])).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokens_scope_cannot_be_written_into_the_database() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let mut root = Person::first(&broker).await;
    let narrow = root.act_ok(TOKENS, &of("narrow", &["users:read"])).await;
    root.act_ok(TOKENS, &of("wide", &["users:read", "keks:read", "keks:write"])).await;
    let users = "/v1/admin/tenants/acme/users";
    assert_eq!(ask(&broker, narrow["token"].as_str().unwrap(), users, None).await.0, 200);
    let widen = "UPDATE tokens SET sealed = (SELECT sealed FROM tokens ORDER BY length(sealed) DESC LIMIT 1)";
    broker.sql(widen).await;
    assert_eq!(ask(&broker, narrow["token"].as_str().unwrap(), users, None).await.0, 503);
}
