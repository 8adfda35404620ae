//! The life of a KEK: probed, registered, rotated, disabled, enabled.

use crate::harness::bao::{BAO_TOKEN, Bao};
use crate::harness::{Broker, KEYFOLD, Raw, TENANT, outcomes, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;
use uuid::Uuid;

/// The only KEK of a tenant.
pub(crate) async fn kek(broker: &Broker, tenant: &str) -> String {
    let (_, keks) = broker.admin(&format!("/{tenant}/keks"), None).await;
    keks["items"][0]["id"].as_str().unwrap().into()
}

/// A second KEK of [`TENANT`] in the software keystore; gives its id.
pub(crate) async fn further_kek(broker: &Broker, key: &str) -> String {
    broker.keystore(&["add", key]);
    let made = broker.admin_ok(&format!("/{TENANT}/keks"), json!({"provider": "software", "key": key})).await;
    made["id"].as_str().unwrap().into()
}

/// Status and code of what an administrator asks.
pub(crate) async fn told(broker: &Broker, path: &str, body: Value) -> (u16, String) {
    let (status, problem) = broker.admin(path, Some(body)).await;
    (status, problem["code"].as_str().unwrap_or_default().into())
}

pub(crate) async fn step(broker: &Broker, kek: &str, step: &str) -> (u16, Value) {
    broker.admin(&format!("/{TENANT}/keks/{kek}/{step}"), Some(json!({"reason": "test"}))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_kek_releases_and_wraps_nothing_until_it_is_enabled() {
    let broker = Broker::start().await;
    let vkey = broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"any key").await;
    let ((released, _), (open, _)) = (device.open("identity").await, device.open("identity").await);
    assert_eq!(device.release(&released).await.status, 200);
    let kek = kek(&broker, TENANT).await;

    let (status, done) = step(&broker, &kek, "disable").await;
    assert_eq!((status, &done["restores_ended"]), (201, &json!(2)), "{done}");
    let unwraps = broker.unwraps().await;
    for over in [&released, &open] {
        assert_eq!(device.release(over).await.code(), "restore_over");
    }
    let (fresh, _) = device.open("identity").await;
    assert_eq!(device.release(&fresh).await.code(), "kek_inactive");
    assert_eq!(device.send_wrap(&device.wrap("identity", 2, b"x")).await.code(), "kek_inactive");
    assert_eq!(broker.unwraps().await, unwraps, "the provider was not asked");
    let protect = json!({"kek": kek});
    assert_eq!(told(&broker, &format!("/{TENANT}/protection"), protect).await, (403, "kek_inactive".into()));
    assert_eq!(step(&broker, &kek, "disable").await.1["code"], "kek_inactive");

    let (status, enabled) = step(&broker, &kek, "enable").await;
    assert_eq!((status, &enabled["state"]), (201, &json!("active")));
    assert_eq!(device.release(&fresh).await.status, 200);
    device.backup("identity", 2, b"newer").await;
    assert_eq!(step(&broker, &kek, "enable").await.1["code"], "kek_not_disabled");
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "kek.disabled"), ["ok"]);
    assert_eq!(outcomes(&log, "kek.enabled"), ["ok"]);
    assert_eq!(outcomes(&log, "admin.denied"), ["kek_inactive", "kek_inactive", "kek_not_disabled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_kek_cannot_be_enabled_and_a_foreign_one_not_touched() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.tenant("other", "bob").await;
    let (own, foreign) = (kek(&broker, TENANT).await, kek(&broker, "other").await);
    broker.revoke(TENANT, "kek", Some(&own)).await;
    assert_eq!(step(&broker, &own, "enable").await.1["code"], "kek_not_disabled");
    for unknown in [&foreign, &Uuid::new_v4().to_string(), "' OR 1=1 --"] {
        for verb in ["disable", "enable", "destructions"] {
            assert_eq!(step(&broker, unknown, verb).await.1["code"], "not_found", "{verb} {unknown}");
        }
    }
    let (_, keks) = broker.admin("/other/keks", None).await;
    assert_eq!(keks["items"][0]["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_kek_of_one_tenant_and_never_the_root() {
    let kept = "\n[providers.theirs]\ntype = \"software\"\nkeystore = \"keystore.json\"\n\
                passphrase = { file = \"passphrase\" }\ntenants = [\"other\"]\n";
    let broker = Broker::start_with(|config| config + kept).await;
    let vkey = broker.with_tenant().await;
    broker.tenant("other", "bob").await;
    broker.keystore(&["add", "theirs"]);
    let unwraps = broker.unwraps().await;
    for (tenant, provider, key, refused) in [
        (TENANT, "software", TENANT, (409, "kek_taken")),
        ("other", "software", TENANT, (409, "kek_taken")),
        (TENANT, "software", "root", (403, "kek_reserved")),
        (TENANT, "theirs", "theirs", (403, "provider_reserved")),
    ] {
        let ask = json!({"provider": provider, "key": key});
        let answer = told(&broker, &format!("/{tenant}/keks"), ask).await;
        assert_eq!(answer, (refused.0, refused.1.into()), "{tenant} {provider} {key}");
    }
    assert_eq!(broker.unwraps().await, unwraps + 1, "what is reserved, or another's, is not even tried");
    broker.admin_ok("/other/keks", json!({"provider": "theirs", "key": "theirs"})).await;
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "admin.denied"), ["kek_taken", "kek_reserved", "provider_reserved"]);
    assert_eq!(outcomes(&log, "kek.registered"), ["ok"]);
}

#[test]
fn a_provider_takes_no_field_that_it_does_not_know() {
    let broker = Broker::prepared(|config| config.replace("[[sinks]]", "tenant = [\"acme\"]\n\n[[sinks]]"));
    let config = broker.path("keyfold.toml");
    let output = Command::new("timeout").args(["20", KEYFOLD, "serve", "--config"]).arg(config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unknown field `tenant`"), "{}", text(&output.stderr));
}

/// A broker with OpenBao, which has this transit key, and the tenant.
async fn with_bao(token: &str, bao: &Bao) -> (Broker, String) {
    bao.call(Method::POST, "transit/keys/acme", json!({})).await.unwrap();
    let mut broker = Broker::prepared(|config| config + &Bao::provider(bao.port));
    broker.run(&["env", &format!("BAO={token}")]).await;
    let made = broker.admin_ok("", json!({"id": TENANT, "name": TENANT, "unattested_days": 30})).await;
    broker.admin_ok(&format!("/{TENANT}/users"), json!({"id": "alice"})).await;
    (broker, made["vkey"].as_str().unwrap().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_names_the_permission_that_is_missing() {
    let bao = Bao::start().await;
    let grant = async |rights: &str| {
        let policy = format!("path \"transit/+/acme\" {{ capabilities = [{rights}] }}");
        bao.call(Method::PUT, "sys/policies/acl/broker", json!({"policy": policy})).await.unwrap();
    };
    grant("\"read\"").await;
    let token = bao.call(Method::POST, "auth/token/create", json!({"policies": ["broker"]})).await.unwrap();
    let (broker, vkey) = with_bao(token["auth"]["client_token"].as_str().unwrap(), &bao).await;
    let (keks, ask) = (format!("/{TENANT}/keks"), json!({"provider": "bao", "key": "acme"}));

    let (status, problem) = broker.admin(&keks, Some(ask.clone())).await;
    assert_eq!((status, &problem["code"]), (502, &json!("provider_refused")));
    let missing = "inspect: ok, wrap: provider_refused (needs update on <mount>/encrypt/<key>), unwrap: not_tried";
    assert_eq!(problem["detail"], missing);
    grant("\"update\"").await;
    let probe = broker.admin_ok(&format!("{keks}/probe"), ask.clone()).await;
    let outcomes_of: Vec<_> = probe["steps"].as_array().unwrap().iter().map(|step| step["outcome"].clone()).collect();
    assert_eq!(
        (&probe["usable"], &outcomes_of[..]),
        (&json!(false), &[json!("provider_refused"), json!("ok"), json!("ok")][..])
    );
    assert_eq!(probe["steps"][0]["permission"], "read on <mount>/keys/<key>");
    grant("\"read\", \"update\"").await;
    assert_eq!(broker.admin_ok(&format!("{keks}/probe"), ask.clone()).await["usable"], true);
    assert_eq!(broker.admin(&keks, None).await.1["items"], json!([]), "a probe registers nothing");
    broker.admin_ok(&keks, ask).await;
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "admin.denied"), ["provider_refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_at_the_vendor_is_taken_into_use() {
    let bao = Bao::start().await;
    let (broker, vkey) = with_bao(BAO_TOKEN, &bao).await;
    let made = broker.admin_ok(&format!("/{TENANT}/keks"), json!({"provider": "bao", "key": "acme"})).await;
    let rotate = format!("/{TENANT}/keks/{}/rotate", made["id"].as_str().unwrap());
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("old", 1, b"any key").await;
    for ask in [json!({}), json!({"force": true})] {
        assert_eq!(told(&broker, &rotate, ask).await, (409, "nothing_to_rotate".into()));
    }
    bao.call(Method::POST, "transit/keys/acme/rotate", json!({})).await.unwrap();
    assert_eq!(broker.admin_ok(&rotate, json!({})).await["version"], 2);
    assert_eq!(told(&broker, &rotate, json!({})).await.1, "nothing_to_rotate");
    device.backup("new", 1, b"any key").await;
    let versions = broker.sql("SELECT group_concat(kek_version || vendor_version) FROM wraps").await.unwrap();
    assert!(versions == "11,22" || versions == "22,11", "{versions}");
    for kind in ["old", "new"] {
        let (opened, _) = device.open(kind).await;
        assert_eq!(device.release(&opened).await.status, 200, "{kind}");
    }

    // The software keystore shows no versions: only its owner knows whether there is a new one.
    let silent = format!("/{TENANT}/keks/{}/rotate", further_kek(&broker, "silent").await);
    assert_eq!(told(&broker, &silent, json!({})).await.1, "nothing_to_rotate");
    assert_eq!(broker.admin_ok(&silent, json!({"force": true})).await["version"], 2);
    let log = broker.verified_log(TENANT, &vkey);
    let rotated: Vec<_> = log.iter().filter(|event| event["evt"] == "kek.rotated").collect();
    assert_eq!(rotated.len(), 2);
    assert_eq!((&rotated[0]["kek"]["version"], &rotated[0]["disclosed"]["provider_ref"]), (&json!(2), &json!("2")));
}
