//! Who reaches what: for every route of the OpenAPI document that is for administrators or auditors, so that none can be forgotten.

use crate::harness::person::{Person, read};
use crate::harness::{Broker, Raw, TENANT};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

/// A route for administrators or auditors.
#[derive(Debug)]
struct Route {
    method: String,
    path: String,
    id: String,
    /// The act that it needs; `None` where anybody who is signed in may ask, or nobody has to be.
    act: Option<String>,
    takes_body: bool,
}

impl Route {
    /// The path with `names` put in; a name that nobody knows is somebody's.
    fn path(&self, names: &HashMap<&str, String>) -> String {
        let mut parts = self.path.split('/').map(|part| match part.strip_prefix('{') {
            Some(name) => names.get(name.trim_end_matches('}')).cloned().unwrap_or_else(|| "1".into()),
            None => part.to_owned(),
        });
        let first = parts.next().unwrap();
        parts.fold(first, |path, part| path + "/" + &part)
    }

    /// The names in the path that are ids of something of a tenant's.
    fn names(&self) -> Vec<&str> {
        let parts = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        parts.filter(|name| !["tenant", "sink", "index", "tile"].contains(name)).collect()
    }
}

async fn routes(broker: &Broker) -> Vec<Route> {
    let document: Value = serde_json::from_str(&broker.text("/openapi.json").await).unwrap();
    let routes: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
        })
        .filter(|(path, _, operation)| path.starts_with("/v1/admin/") || operation["security"][0]["admin"].is_array())
        .map(|(path, method, operation)| Route {
            method: method.to_uppercase(),
            path: path.clone(),
            id: operation["operationId"].as_str().unwrap().to_owned(),
            act: operation["security"][0]["admin"][0].as_str().map(str::to_owned),
            takes_body: !operation["requestBody"].is_null(),
        })
        .collect();
    assert!(routes.len() > 60, "{routes:?}");
    routes
}

async fn code(person: &Person, route: &Route, path: &str) -> (u16, String) {
    let (status, body) = person.send(&route.method, path, (&Value::Null, None)).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn failures(wrong: &[String]) -> String {
    wrong.iter().fold(String::new(), |mut text, line| {
        let _written = writeln!(text, "{line}");
        text
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_and_the_installation_are_out_of_reach() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.tenant("other", "bob").await;
    let all = ["owner", "security_officer", "approver", "help_desk", "auditor", "break_glass"];
    let own = Person::first(&broker).await.appoint(&broker, TENANT, ("bea", &all)).await;
    let mut wrong = Vec::new();
    for route in routes(&broker).await.iter().filter(|route| route.act.is_some()) {
        let of_a_tenant = route.path.contains("{tenant}");
        let wanted = if of_a_tenant { (404, "not_found") } else { (403, "not_allowed") };
        for tenant in ["other", "nobody", "installation", "%6fther"] {
            let path = route.path(&HashMap::from([("tenant", tenant.to_owned())]));
            let (status, word) = code(&own, route, &path).await;
            if (status, &*word) != wanted {
                wrong.push(format!("{} {path}: {status} {word}", route.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", failures(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_scope_reaches_what_it_does_not_name() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let mut root = Person::first(&broker).await;
    let mut tokens = Vec::new();
    for act in ["devices:read", "users:read"] {
        let asked = json!({"name": act.replace(':', "-"), "acts": [act], "days": 1});
        let made = root.act_ok("/v1/admin/tenants/acme/tokens", &asked).await;
        tokens.push((act, made["token"].as_str().unwrap().to_owned()));
    }
    let names = HashMap::from([("tenant", TENANT.to_owned())]);
    let mut wrong = Vec::new();
    for route in routes(&broker).await {
        let Some(needed) = &route.act else { continue };
        let (_, token) = tokens.iter().find(|(act, _)| act != needed).unwrap();
        let path = route.path(&names);
        let request = broker.http().request(route.method.parse().unwrap(), broker.url(&path)).bearer_auth(token);
        let (status, body) = read((&route.method, &path), request.send().await.unwrap()).await;
        if (status, body["code"].as_str()) != (403, Some("not_allowed")) {
            wrong.push(format!("{} {path}: {status} {body}", route.method));
        }
    }
    assert!(wrong.is_empty(), "{}", failures(&wrong));
}

/// A body that the route takes: what it names is what matters here.
fn body(route: &Route) -> Value {
    match &*route.id {
        "admin_rotate" => json!({}),
        "admin_disable" | "admin_enable" | "admin_request_destruction" | "admin_erase_user" => {
            json!({"reason": "test"})
        }
        "admin_decide" => json!({"decision": "reject"}),
        "admin_confirm_destruction" => json!({"records": 0}),
        "admin_step" => json!({"step": "stop"}),
        "admin_set_email" => json!({"email": "mallory@evil.example"}),
        "admin_set_managers" => json!({"managers": []}),
        "admin_set_subject" => json!({"subject": "mallory"}),
        "admin_set_time_zone" => json!({"time_zone": null}),
        "policies_propose" | "policies_activate" => json!({"digest": "A".repeat(43)}),
        "people_assign_roles" => json!({"roles": ["auditor"]}),
        _ if route.takes_body => panic!("give `{}` a body here", route.id),
        _ => Value::Null,
    }
}

/// One of each thing that a tenant can have.
async fn things(broker: &Broker, root: &mut Person) -> HashMap<&'static str, String> {
    let id = |answer: &Value| answer["id"].as_str().unwrap().to_owned();
    let device = Raw::enrol(broker, "other", "bob").await;
    let record = device.backup("identity", 1, b"bob's identity").await;
    let (restore, _) = device.open("identity").await;
    let rewrap = broker.admin_ok("/other/rewraps", json!({})).await;
    let over = format!("/other/rewraps/{}", id(&rewrap));
    while broker.admin(&over, None).await.1["state"] != "completed" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (_, keks) = broker.admin("/other/keks", None).await;
    let kek = keks["items"][0]["id"].as_str().unwrap().to_owned();
    let destruction = broker.admin_ok(&format!("/other/keks/{kek}/destructions"), json!({"reason": "test"})).await;
    let text = "@id(\"wrap\") permit (principal, action == Action::\"wrap\", resource);";
    let draft = broker.admin_ok("/other/policies", json!({"text": text, "note": "test"})).await;
    let carl = root.appoint(broker, "other", ("carl", &["auditor"])).await;
    let asked = json!({"name": "ci", "acts": ["users:read"], "days": 1});
    let token = root.act_ok("/v1/admin/tenants/other/tokens", &asked).await;
    HashMap::from([
        ("user", "bob".to_owned()),
        ("device", device.id().to_string()),
        ("record", record.record.to_string()),
        ("restore", restore.restore.to_string()),
        ("rewrap", id(&rewrap)),
        ("kek", kek),
        ("destruction", id(&destruction)),
        ("admin", carl.id),
        ("token", id(&token)),
        ("version", draft["version"].to_string()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_things_are_nothing_in_ones_own() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let vkey = broker.tenant("other", "bob").await;
    let mut root = Person::first(&broker).await;
    let mut names = things(&broker, &mut root).await;
    let all = ["owner", "security_officer", "approver", "help_desk", "auditor", "break_glass"];
    let mut own = root.appoint(&broker, TENANT, ("bea", &all)).await;
    let before = broker.verified_log("other", &vkey).len();
    names.insert("tenant", TENANT.to_owned());
    let mut wrong = Vec::new();
    let mut tried = 0;
    for route in routes(&broker).await {
        if !route.path.contains("{tenant}") || route.names().is_empty() {
            continue;
        }
        tried += 1;
        let missing: Vec<_> = route.names().into_iter().filter(|name| !names.contains_key(name)).collect();
        assert!(missing.is_empty(), "make another tenant's {missing:?} in `things`");
        let path = route.path(&names);
        let (status, answer) = match &*route.method {
            "GET" => own.get(&path).await,
            _ => own.act(&path, &body(&route)).await,
        };
        // Empty lists and orders that find nothing to do tell as little as `not_found`.
        if !(status == 404 || status == 403 && answer["code"] == "kek_inactive") {
            wrong.push(format!("{} {path}: {status} {answer}", route.method));
        }
    }
    assert!(tried > 12, "{tried}");
    assert!(wrong.is_empty(), "{}", failures(&wrong));
    let after = broker.verified_log("other", &vkey);
    assert!(after[before..].is_empty(), "nothing happened there: {:?}", &after[before..]);
}
