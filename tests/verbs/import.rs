//! Bringing an own key to a provider, through a real broker: parameters, import, and what stands in the log.

use crate::harness::{Broker, TENANT, outcomes};
use serde_json::{Value, json};

async fn code(broker: &Broker, path: &str, body: Value) -> (u16, String) {
    let (status, problem) = broker.admin(path, Some(body)).await;
    (status, problem["code"].as_str().unwrap_or_default().into())
}

fn asked(provider: &str) -> Value {
    json!({"provider": provider, "key": "customer-key"})
}

fn import(provider: &str) -> Value {
    json!({"provider": provider, "key": "customer-key", "material": "AAAA", "token": ""})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_be_is_refused_and_recorded() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let before = broker.verified_log(TENANT, &vkey).len();
    for (path, body) in [("keks/import-parameters", asked as fn(&str) -> Value), ("keks/import", import)] {
        let ask = async |tenant, provider| code(&broker, &format!("/{tenant}/{path}"), body(provider)).await;
        assert_eq!(ask("nobody", "software").await, (404, "not_found".into()));
        assert_eq!(ask(TENANT, "nowhere").await, (400, "malformed".into()));
        assert_eq!(ask(TENANT, "software").await, (409, "import_unsupported".into()));
    }
    for (member, value) in [("key", ""), ("key", "a\u{7}b"), ("provider", ""), ("material", "AAA="), ("token", "*")] {
        let mut body = import("software");
        body[member] = value.into();
        assert_eq!(code(&broker, "/acme/keks/import", body).await, (400, "malformed".into()), "{member} {value:?}");
    }
    broker.revoke(TENANT, "tenant", None).await;
    assert_eq!(code(&broker, "/acme/keks/import", import("software")).await, (403, "tenant_inactive".into()));
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "admin.denied"), ["import_unsupported", "import_unsupported", "tenant_inactive"]);
    assert_eq!(log.len(), before + 4, "the revocation and three refusals");
    let denied = log.iter().find(|event| event["evt"] == "admin.denied").unwrap();
    assert_eq!((&denied["prov"], &denied["disclosed"]["provider_ref"]), (&json!("software"), &json!("customer-key")));
    assert_eq!(denied["disclosed"]["actor"], "token:operator");
}
