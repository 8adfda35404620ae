//! Bringing an own key to a provider, through a real broker: parameters, import, and what stands in the log.

use crate::ceremony::oracle;
use crate::harness::bao::{BAO_TOKEN, Bao};
use crate::harness::{Broker, TENANT, keyfold, outcomes, text};
use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

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

/// The whole ceremony with a real OpenBao, where the imported key is the customer's own: with it alone, what transit has
/// encrypted is opened here.
#[tokio::test(flavor = "multi_thread")]
async fn a_customers_own_key_gets_to_openbao() {
    let bao = Bao::start().await;
    let mut broker = Broker::prepared(|config| config + &Bao::provider(bao.port));
    broker.run(&["env", &format!("BAO={BAO_TOKEN}")]).await;
    let vkey = broker.with_tenant().await;
    let own = [0x4b; 32];
    let [own_key, parameters, material] = ["own.bin", "parameters.json", "material.json"].map(|name| broker.path(name));
    fs::write(&own_key, own).unwrap();
    fs::set_permissions(&own_key, Permissions::from_mode(0o600)).unwrap();
    let [own_key, parameters, material] = [&own_key, &parameters, &material].map(|path| path.to_str().unwrap());

    let of_key = ["--provider", "bao", "--key", "customer-key"];
    let kek = |words: &[&str]| broker.run_admin(&[&["kek"], words].concat());
    succeeded(&kek(&[&["import-parameters", TENANT, "--out", parameters][..], &of_key].concat()));
    let fingerprint = fingerprint(&bao).await;
    let wrap = ["ceremony", "wrap", "--parameters", parameters, "--out", material];
    succeeded(&keyfold(&[&wrap[..], &["--fingerprint", &fingerprint, "--key-file", own_key]].concat()));
    let import = ["import", TENANT, "--material", material];
    succeeded(&kek(&import));
    succeeded(&kek(&[&["register", TENANT][..], &of_key].concat()));
    assert_eq!(opened_with(own, &bao).await["plaintext"], hex::encode("by transit"));

    let again = kek(&import);
    assert!(!again.status.success(), "an import replaces no key: {}", text(&again.stdout));
    assert_eq!(opened_with(own, &bao).await["plaintext"], hex::encode("by transit"));
    let log = broker.verified_log(TENANT, &vkey);
    assert_eq!(outcomes(&log, "kek.imported"), ["ok"]);
    assert_eq!(outcomes(&log, "admin.denied"), ["provider_broken"]);
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// SHA-256 of the wrapping key, as OpenBao itself says it.
async fn fingerprint(bao: &Bao) -> String {
    let answer = bao.call(Method::GET, "transit/wrapping_key", json!({})).await.unwrap();
    let pem = answer["data"]["public_key"].as_str().unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    hex::encode(digest(&SHA256, &BASE64_STANDARD.decode(der).unwrap()))
}

/// Transit encrypts under the customer's key; what the customer's own copy opens of it.
async fn opened_with(own: [u8; 32], bao: &Bao) -> Value {
    let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    let plaintext = json!({"plaintext": encode(b"by transit"), "associated_data": encode(b"context")});
    let answer = bao.call(Method::POST, "transit/encrypt/customer-key", plaintext).await.unwrap();
    let ciphertext = &answer["data"]["ciphertext"];
    let [key, context] = [hex::encode(own), hex::encode("context")];
    oracle(&json!({"do": "open_transit", "key": key, "ciphertext": ciphertext, "context": context}))
}
