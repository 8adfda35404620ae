//! The admin API: for those with the token, about what there is, in pages.

use crate::harness::{Broker, Raw, TENANT, keyfold, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Names that are no ids: empty, too long, paths, SQL, control and other characters.
const BAD_IDS: [&str; 12] = [
    "",
    ".",
    "..",
    "../acme",
    "a/b",
    "a b",
    "' OR 1=1 --",
    "a;DROP TABLE tenants",
    "a\u{0}b",
    "\u{e9}",
    "%2e%2e",
    "<b>",
];

async fn code(broker: &Broker, path: &str, body: Value) -> (u16, String) {
    let (status, problem) = broker.admin(path, Some(body)).await;
    (status, problem["code"].as_str().unwrap_or_default().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_token_opens_the_admin_api() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let before = broker.verified_log(TENANT, &vkey).len();
    let token = broker.token();
    let close = [&token[..63], "x"].concat();
    for authorization in ["", "Bearer", "Bearer ", "Basic b3BlcmF0b3I6", &token, &format!("Bearer {close}")] {
        for path in ["/v1/admin/tenants", "/v1/admin/tenants/acme/users", "/v1/admin/tenants/nobody/users"] {
            let request = broker.http().get(broker.url(path)).header("authorization", authorization);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{authorization}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            assert_eq!(answer.json::<Value>().await.unwrap()["code"], "unauthorized");
        }
    }
    let user = json!({"id": "mallory"});
    let answer = broker.http().post(broker.url("/v1/admin/tenants/acme/users")).json(&user).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(!broker.log().contains(&token));
    assert_eq!(broker.verified_log(TENANT, &vkey).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_plain_and_taken_once() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let long = "a".repeat(129);
    for id in BAD_IDS.into_iter().chain([&*long]) {
        for (path, body) in [("", json!({"id": id, "name": "x"})), ("/acme/users", json!({"id": id}))] {
            assert_eq!(code(&broker, path, body).await, (400, "malformed".into()), "{path} {id:?}");
        }
        let unknown = code(&broker, "/acme/enrolment-codes", json!({"user": id})).await;
        assert_eq!(unknown, (403, "user_inactive".into()), "{id:?}");
    }
    let before = broker.verified_log(TENANT, &vkey).len();
    assert_eq!(code(&broker, "", json!({"id": TENANT, "name": "x"})).await, (409, "taken".into()));
    assert_eq!(broker.verified_log(TENANT, &vkey).len(), before, "its log is signed with its own key still");
    assert_eq!(code(&broker, "/acme/users", json!({"id": "alice"})).await, (409, "taken".into()));
    assert_eq!(broker.verified_log(TENANT, &vkey).len(), before, "what it withholds can still be opened");
    assert_eq!(code(&broker, "/nobody/users", json!({"id": "alice"})).await, (404, "not_found".into()));
    assert_eq!(code(&broker, "/nobody/enrolment-codes", json!({"user": "alice"})).await, (404, "not_found".into()));
    for list in ["keks", "users", "devices", "records", "restores", "events"] {
        for tenant in ["nobody", "a'%20OR%20'1'='1", "%ff"] {
            assert_eq!(broker.admin(&format!("/{tenant}/{list}"), None).await.0, 404, "{tenant} {list}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_what_its_route_takes() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let url = broker.url("/v1/admin/tenants/acme/users");
    let post = |body: Vec<u8>| broker.http().post(&url).bearer_auth(broker.token()).body(body).send();
    for body in [
        b"".to_vec(),
        b"\xff".to_vec(),
        b"[\"bob\"]".to_vec(),
        b"{\"id\":\"bob\",\"id\":\"eve\"}".to_vec(),
        b"{\"id\":\"bob\",\"admin\":true}".to_vec(),
        b"{\"id\":\"bob\"}{}".to_vec(),
        b"{\"id\":[\"bob\"]}".to_vec(),
        b"[".repeat(60_000),
    ] {
        let answer = post(body).await.unwrap();
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "malformed");
    }
    assert_eq!(post(vec![b' '; 64 * 1024 + 1]).await.unwrap().status(), 413);
    let (_, users) = broker.admin("/acme/users", None).await;
    assert_eq!(users["items"].as_array().unwrap().len(), 1, "nobody was made: {users}");
    for (path, body) in [
        ("/acme/enrolment-codes", json!({"user": "alice", "seconds": 59})),
        ("/acme/enrolment-codes", json!({"user": "alice", "seconds": 604_801})),
        ("/acme/keks", json!({"provider": "nowhere", "key": "acme"})),
        ("", json!({"id": "b", "name": "a\nb"})),
        ("", json!({"id": "b", "name": "b", "unattested_days": -1})),
    ] {
        assert_eq!(code(&broker, path, body.clone()).await, (400, "malformed".into()), "{body}");
    }
    let missing = code(&broker, "/acme/keks", json!({"provider": "software", "key": "../root"})).await;
    assert_eq!(missing, (409, "kek_not_found".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_that_lose_nothing() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let mut made = BTreeSet::from(["alice".to_owned()]);
    for user in 0..12 {
        broker.admin_ok("/acme/users", json!({"id": format!("u{user}")})).await;
        made.insert(format!("u{user}"));
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (_, page) = broker.admin(&format!("/acme/users?limit=5&after={after}"), None).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = next.into(),
            None => break,
        }
    }
    assert_eq!((pages, seen), (3, made.into_iter().collect()));
    for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "page=2", "limit=1&limit=2"] {
        let (status, problem) = broker.admin(&format!("/acme/users?{query}"), None).await;
        assert_eq!((status, &problem["code"]), (400, &"malformed".into()), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_no_key_material() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"key").await;
    device.open("identity").await;
    for (list, members) in [("devices", 7), ("records", 7), ("restores", 9), ("keks", 6)] {
        let (status, page) = broker.admin(&format!("/acme/{list}"), None).await;
        let item = page["items"][0].as_object().unwrap_or_else(|| panic!("{list}: {status} {page}"));
        assert_eq!(item.len(), members, "{list}: {item:?}");
        let secret = ["wrapped", "bundle", "commitment", "receive_key", "answer", "jwk", "sealed", "code"];
        assert!(secret.iter().all(|name| !item.contains_key(*name)), "{list}: {item:?}");
    }
}

/// `METHOD /path` of every route that `src/http/` declares for the router, read from the source.
fn declared_routes() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    let sources = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let text: String = sources.collect();
    let routes = text.split("#[utoipa::path(").skip(1).map(|rest| {
        let (method, rest) = rest.split_once(',').unwrap();
        let path = rest.split_once("path = \"").unwrap().1.split('"').next().unwrap();
        format!("{} {path}", method.trim())
    });
    routes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_openapi_document_is_valid_and_complete() {
    let broker = Broker::start().await;
    let document = broker.text("/openapi.json").await;
    let printed = keyfold(&["openapi"]);
    let parsed: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), parsed, "`keyfold openapi` prints the same");
    assert!(parsed["openapi"].as_str().unwrap().starts_with("3.1"));
    validate(&document);

    let paths = parsed["paths"].as_object().unwrap();
    let served = paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")));
    let served: BTreeSet<_> = served.map(|route| route.replace("{tile}", "{*tile}")).collect();
    assert_eq!(served, declared_routes());
    let router = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/router.rs")).unwrap();
    let lines = router.lines().filter_map(|line| line.trim().strip_prefix(".routes(routes!("));
    let handlers: usize = lines.map(|line| line.split(',').count()).sum();
    assert_eq!(served.len(), handlers, "each line of the router is in the document");
}

/// Python's `openapi-spec-validator` has nothing to say against the document.
fn validate(document: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let oracles = std::env::var_os("KEYFOLD_ORACLES").map_or_else(|| root.join("target/test-env/oracles"), Into::into);
    let mut validator = Command::new(oracles.join("bin/openapi-spec-validator"));
    let validator =
        validator.args(["--schema", "3.1", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = validator.spawn().expect("see tests/oracles/requirements.txt");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), document.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
}
