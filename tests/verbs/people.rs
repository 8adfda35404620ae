//! People who administer: how the first one gets in, who appoints whom, what is signed, and what ends it.

use crate::harness::person::{Person, first_link, read};
use crate::harness::{Broker, TENANT};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterparts::authenticator::{Authenticator, Make};
use serde_json::{Value, json};
use std::fs;

const ADMINS: &str = "/v1/admin/tenants/installation/admins";
const ACME: &str = "/v1/admin/tenants/acme";

fn code((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

/// Names and outcomes of a tenant's events.
async fn events(broker: &Broker, tenant: &str) -> Vec<(String, String)> {
    let (_, page) = broker.admin(&format!("/{tenant}/events?from=0"), None).await;
    let event = |item: &Value| {
        let (_, payload) = item["leaf"].as_str().unwrap().split_once('.').unwrap();
        let (payload, _) = payload.split_once('.').unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        (claims["evt"].as_str().unwrap().to_owned(), claims["out"].as_str().unwrap().to_owned())
    };
    page["events"].as_array().unwrap().iter().map(event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_link_is_good_once_and_dead_when_there_are_two() {
    let mut broker = Broker::start().await;
    let link = first_link(&broker).unwrap();
    let mut root = Person::new(&broker).joined(&link, Some("root")).await;
    assert_eq!(code(Person::new(&broker).join(&link, Some("mallory")).await), refused(403, "invitation_invalid"));
    broker.stop();
    broker.run(&[]).await;
    let again = first_link(&broker).expect("one person alone can lock themselves out");
    assert_ne!(again, link);
    assert_eq!(code(root.get("/v1/admin/session").await), refused(401, "unauthorized"), "a restart signs out");
    assert_eq!(root.sign_in().await.0, 200);
    root.appoint(&broker, "installation", ("second", &["owner"])).await;
    assert_eq!(code(Person::new(&broker).join(&again, Some("mallory")).await), refused(403, "invitation_invalid"));
    broker.stop();
    broker.run(&[]).await;
    assert_eq!(first_link(&broker), None);
    assert!(!broker.log().contains(link.split_once('#').unwrap().1));
    let told = events(&broker, "installation").await;
    let of = |kind: &str| told.iter().filter(|(evt, _)| evt == kind).count();
    assert_eq!([of("admin.joined"), of("admin.appointed"), of("admin.signed_in")], [2, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_appointed_and_dismissed() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let mut root = Person::first(&broker).await;
    let owner = json!({"roles": ["owner"]});
    let mine = format!("{ADMINS}/{}", root.id);
    let auditor = json!({"roles": ["auditor"]});
    assert_eq!(code(root.act(&format!("{mine}/roles"), &auditor).await), refused(409, "last_owner"));
    assert_eq!(code(root.act(&format!("{mine}/revoke"), &Value::Null).await), refused(409, "last_owner"));
    assert_eq!(code(root.act(&format!("{mine}/invite"), &Value::Null).await), refused(409, "last_owner"));

    let body = json!({"name": "bea", "roles": ["approver"], "email": "bea@acme.example"});
    let invited = root.act_ok(&format!("{ACME}/admins"), &body).await;
    assert_eq!(invited["admin"]["state"], "invited");
    assert_eq!(code(root.act(&format!("{ACME}/admins"), &body).await), refused(409, "taken"));
    let link = invited["link"].as_str().unwrap();
    let mut bea = Person::new(&broker).joined(link, None).await;
    assert_eq!(code(Person::new(&broker).join(link, None).await), refused(403, "invitation_invalid"));
    let (_, session) = bea.get("/v1/admin/session").await;
    assert_eq!((&session["admin"]["tenant"], &session["admin"]["state"]), (&json!("acme"), &json!("active")));

    // Who was given other roles has them in the session that is open.
    assert_eq!(bea.get(&format!("{ACME}/keks")).await.0, 403);
    let theirs = format!("{ACME}/admins/{}", bea.id);
    root.act_ok(&format!("{theirs}/roles"), &auditor).await;
    assert_eq!(bea.get(&format!("{ACME}/keks")).await.0, 200);
    assert_eq!(code(bea.act(&format!("{theirs}/roles"), &owner).await), refused(403, "not_allowed"));

    let invited = root.act_ok(&format!("{theirs}/invite"), &Value::Null).await;
    assert_eq!(bea.get("/v1/admin/session").await.0, 401, "the sessions end with the passkeys");
    assert_eq!(bea.sign_in().await.0, 401);
    let mut bea = Person::new(&broker).joined(invited["link"].as_str().unwrap(), None).await;
    root.act_ok(&format!("{theirs}/revoke"), &Value::Null).await;
    assert_eq!(bea.get("/v1/admin/session").await.0, 401);
    assert_eq!(bea.sign_in().await.0, 401);
    assert_eq!(code(root.act(&format!("{theirs}/roles"), &owner).await), refused(404, "not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_the_brokers_own_and_ends() {
    let broker = Broker::start().await;
    let mut root = Person::first(&broker).await;
    let first = root.cookie.clone();

    // What a stranger put into the browser before is not what the session is known by afterwards.
    root.cookie = "__Host-keyfold=chosen-by-a-stranger".into();
    root.csrf = "x".into();
    assert_eq!(root.get("/v1/admin/session").await.0, 401);
    assert_eq!(root.sign_in().await.0, 200);
    assert!(root.cookie.starts_with("__Host-keyfold=") && root.cookie.len() > 50, "{}", root.cookie);
    assert!(!root.cookie.contains("stranger") && root.cookie != first);

    let begun = root.send("POST", "/v1/admin/sign-in", (&Value::Null, None)).await.1;
    let path = format!("/v1/admin/sign-in/{}", begun["ceremony"].as_str().unwrap());
    let made = root.passkeys.get(&begun["options"]);
    let answer = root.request("POST", &path, (&made, None)).send().await.unwrap();
    let set = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["__Host-keyfold=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite="] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Domain"));
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let again = root.request("POST", &path, (&made, None)).send().await.unwrap();
    assert_eq!(read(("POST", &path), again).await.0, 401, "a ceremony is over when it is over");

    let (_, sessions) = root.get("/v1/admin/sessions").await;
    let sessions = sessions["items"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 3);
    let other = sessions.iter().find(|session| session["current"] == false).unwrap();
    let end = format!("/v1/admin/sessions/{}/end", other["id"].as_str().unwrap());
    assert_eq!(root.act(&end, &Value::Null).await.0, 204);
    assert_eq!(root.act(&end, &Value::Null).await.0, 404);
    assert_eq!(root.act("/v1/admin/sign-out", &Value::Null).await.0, 204);
    assert_eq!(root.get("/v1/admin/session").await.0, 401);
    for secret in [&root.cookie, &root.csrf, &first] {
        assert!(!broker.log().contains(secret.split('=').next_back().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_does_nothing() {
    let broker = Broker::start().await;
    let root = Person::first(&broker).await;
    let path = "/v1/admin/sign-out";
    let bare = || broker.http().post(broker.url(path)).header("cookie", &root.cookie);
    let own = || bare().header("keyfold-csrf", &root.csrf);
    let foreign = "https://evil.example";
    let tries = [
        ("no token", bare().header("sec-fetch-site", "same-origin")),
        ("another token", bare().header("keyfold-csrf", "x").header("sec-fetch-site", "same-origin")),
        ("another site", own().header("sec-fetch-site", "cross-site")),
        ("a sister domain", own().header("sec-fetch-site", "same-site")),
        ("typed in", own().header("sec-fetch-site", "none")),
        ("an old browser, from elsewhere", own().header("origin", foreign)),
        ("a sandboxed frame", own().header("origin", "null")),
    ];
    for (what, request) in tries {
        let answer = read(("POST", path), request.send().await.unwrap()).await;
        assert_eq!(code(answer), refused(403, "cross_site"), "{what}");
    }
    // Nobody is signed in as somebody else by a form on another page.
    for path in ["/v1/admin/sign-in", "/v1/admin/join"] {
        let request = broker.http().post(broker.url(path)).header("sec-fetch-site", "cross-site");
        let answer = read(("POST", path), request.json(&json!({"invitation": "x"})).send().await.unwrap()).await;
        assert_eq!(code(answer), refused(403, "cross_site"), "{path}");
    }
    let answer = own().header("origin", broker.url("")).send().await.unwrap();
    assert_eq!(read(("POST", path), answer).await.0, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_what_was_signed() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let mut root = Person::first(&broker).await;
    let mut second = root.appoint(&broker, "installation", ("second", &["owner"])).await;
    let (path, body) = (format!("{ACME}/admins"), json!({"name": "bea", "roles": ["auditor"]}));
    let needed = refused(403, "passkey_required");
    assert_eq!(code(root.send("POST", &path, (&body, None)).await), needed);

    let (_, begun) = root.begin(&path, &body).await;
    let lines = begun["shown"]["lines"].to_string();
    assert!(["acme", "bea", "auditor"].iter().all(|word| lines.contains(word)), "{lines}");

    let signed = root.signed(&path, &body).await.unwrap();
    let more = json!({"name": "bea", "roles": ["owner"]});
    assert_eq!(code(root.send("POST", &path, (&more, signed.as_ref())).await), needed, "another body");
    let signed = root.signed(&path, &body).await.unwrap();
    assert_eq!(code(root.send("POST", ADMINS, (&body, signed.as_ref())).await), needed, "another path");
    let signed = root.signed(&path, &body).await.unwrap();
    assert_eq!(code(second.send("POST", &path, (&body, signed.as_ref())).await), needed, "another person's session");
    let mut signed = root.signed(&path, &body).await.unwrap().unwrap();
    signed.assertion = second.signed(&path, &body).await.unwrap().unwrap().assertion;
    assert_eq!(code(root.send("POST", &path, (&body, Some(&signed))).await), needed, "another person's signature");
    let signed = root.signed(&path, &body).await.unwrap();
    assert_eq!(root.send("POST", &path, (&body, signed.as_ref())).await.0, 201);
    let other = json!({"name": "carl", "roles": ["auditor"]});
    assert_eq!(code(root.send("POST", &path, (&other, signed.as_ref())).await), needed, "used once");

    // Two have the same passkey: one of them has to count back.
    let mut clone = root.clone();
    root.act_ok(&path, &other).await;
    let told = code(clone.act(&path, &json!({"name": "dora", "roles": ["owner"]})).await);
    assert_eq!(told, refused(403, "passkey_cloned"));
    assert_eq!(code(clone.sign_in().await), refused(403, "passkey_cloned"), "though it counts on from there");
    assert_eq!(code(root.sign_in().await), refused(403, "passkey_cloned"), "nobody knows which of them is whose");
    let told = events(&broker, "installation").await;
    assert!(told.contains(&("admin.denied".into(), "passkey_cloned".into())), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_have_more_than_one_passkey_and_never_none() {
    let broker = Broker::start().await;
    let mut root = Person::first(&broker).await;
    let (_, begun) = root.send("POST", "/v1/admin/passkeys", (&Value::Null, None)).await;
    let made = root.passkeys.create(&begun["options"]);
    let path = format!("/v1/admin/passkeys/{}?name=spare", begun["ceremony"].as_str().unwrap());
    let (status, admin) = root.send("POST", &path, (&made, None)).await;
    assert_eq!((status, admin["passkeys"].as_array().unwrap().len()), (200, 2), "{admin}");
    assert_eq!(code(root.send("POST", &path, (&made, None)).await), refused(410, "ceremony_over"));
    let ids: Vec<_> = admin["passkeys"].as_array().unwrap().iter().map(|passkey| passkey["id"].clone()).collect();
    let remove = |id: &Value| format!("/v1/admin/passkeys/{}/remove", id.as_str().unwrap());
    assert_eq!(root.act(&remove(&ids[0]), &Value::Null).await.0, 200);
    assert_eq!(code(root.act(&remove(&ids[1]), &Value::Null).await), refused(409, "last_passkey"));
    assert_eq!(root.sign_in().await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_the_database_appoints_nobody() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let mut root = Person::first(&broker).await;
    let bea = root.appoint(&broker, TENANT, ("bea", &["auditor"])).await;
    let mut carl = root.appoint(&broker, TENANT, ("carl", &["approver"])).await;
    let before = bea.get(&format!("{ACME}/keks")).await.0;
    assert_eq!(before, 200);
    let everywhere = "UPDATE admins SET tenant = 'installation' WHERE name = 'bea'";
    broker.sql(everywhere).await;
    assert_eq!(code(bea.get("/v1/admin/tenants").await), refused(503, "storage_unavailable"), "moved");
    broker.sql("UPDATE admins SET tenant = 'acme' WHERE name = 'bea'").await;
    let copied = "UPDATE admins SET sealed = (SELECT sealed FROM admins WHERE name = 'root') WHERE name = 'bea'";
    broker.sql(copied).await;
    assert_eq!(code(bea.get(&format!("{ACME}/keks")).await), refused(503, "storage_unavailable"), "copied");
    let newer = "UPDATE admins SET version = version + 1 WHERE name = 'carl'";
    broker.sql(newer).await;
    assert_eq!(code(carl.get(&format!("{ACME}/restores")).await), refused(503, "storage_unavailable"), "renumbered");
    assert_eq!(carl.sign_in().await.0, 503);
}

/// A broker that demands this make of the people of those tenants.
async fn demanding(make: &Make, tenants: &[&str]) -> Broker {
    let section = |tenant: &&str| format!("\n[[attestation]]\ntenant = {tenant:?}\nroots = \"makes.pem\"\n");
    let mut broker = Broker::prepared(|config| config + &tenants.iter().map(section).collect::<String>());
    fs::write(broker.path("makes.pem"), make.root()).unwrap();
    broker.run(&[]).await;
    broker.with_tenant().await;
    broker
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_make_is_demanded_no_other_is_taken() {
    let make = Make::new(*b"keyfold-software", "Makers of authenticators");
    let broker = demanding(&make, &["installation", TENANT]).await;
    let (link, refusal) = (first_link(&broker).unwrap(), refused(400, "passkey_refused"));
    assert_eq!(code(Person::new(&broker).join(&link, Some("root")).await), refusal);
    let of_make = || {
        let mut person = Person::new(&broker);
        person.passkeys = Authenticator::of_make(&broker.url(""), make.clone());
        person
    };
    let mut root = of_make().joined(&link, Some("root")).await;
    let body = json!({"name": "bea", "roles": ["security_officer"]});
    let invited = root.act_ok(&format!("{ACME}/admins"), &body).await;
    let link = invited["link"].as_str().unwrap();
    assert_eq!(code(Person::new(&broker).join(link, None).await), refusal);
    let mut bea = of_make().joined(link, None).await;
    let shown = bea.get("/v1/admin/session").await.1;
    assert_eq!(shown["admin"]["passkeys"][0]["attested"], true);
    let target = json!({"target": {"kind": "user", "id": "alice"}, "reason": "left"});
    bea.act_ok(&format!("{ACME}/revocations"), &target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_administers_all_tenants_is_held_to_what_one_demands() {
    let make = Make::new(*b"keyfold-software", "Makers of authenticators");
    let broker = demanding(&make, &[TENANT]).await;
    broker.tenant("other", "bob").await;
    let mut root = Person::first(&broker).await;
    let body = json!({"name": "bea", "roles": ["auditor"]});
    let elsewhere = "/v1/admin/tenants/other/admins";
    let refusal = refused(400, "passkey_refused");
    assert_eq!(code(root.act(&format!("{ACME}/admins"), &body).await), refusal);
    // An act that was begun where it is not demanded does not help either.
    let signed = root.signed(elsewhere, &body).await.unwrap();
    let sent = root.send("POST", &format!("{ACME}/admins"), (&body, signed.as_ref())).await;
    assert_eq!(code(sent), refused(403, "passkey_required"));
    root.act_ok(elsewhere, &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_copies_of_a_passkey_that_sign_at_once_one_is_believed_at_most() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let root = Person::first(&broker).await;
    let path = format!("{ACME}/admins");
    let mut acts = Vec::new();
    for number in 0..8 {
        let (mut copy, body) = (root.clone(), json!({"name": format!("copy-{number}"), "roles": ["owner"]}));
        let signed = copy.signed(&path, &body).await.unwrap();
        acts.push((copy, body, signed));
    }
    let sent = acts.iter().map(|(copy, body, signed)| copy.send("POST", &path, (body, signed.as_ref())));
    let answers: Vec<_> = futures_util::future::join_all(sent).await.into_iter().map(code).collect();
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, code)| code == "passkey_cloned").count(), 7, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_was_planted_never_becomes_the_session() {
    let broker = Broker::start().await;
    let mut victim = Person::first(&broker).await;
    let planter = victim.appoint(&broker, "installation", ("planter", &["auditor"])).await;
    let mut chosen = planter.clone();
    chosen.cookie = format!("__Host-keyfold={}", "A".repeat(43));
    for (planted, then) in [(&chosen, 401), (&planter, 200)] {
        (victim.cookie, victim.csrf) = (planted.cookie.clone(), String::new());
        assert_eq!(victim.sign_in().await.0, 200);
        assert_ne!(victim.cookie, planted.cookie);
        let (status, session) = planted.get("/v1/admin/session").await;
        assert_eq!(status, then, "{session}");
        assert_ne!(session["admin"]["id"], json!(victim.id), "{session}");
    }
}
