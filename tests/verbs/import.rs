//! Bringing an own key to a provider, through a real broker: parameters, import, and what stands in the log.

use super::ceremony::{ceremony, oracle};
use crate::harness::aws::{AWS_ENVIRONMENT, Aws};
use crate::harness::bao::{BAO_TOKEN, Bao};
use crate::harness::{Broker, Raw, TENANT, outcomes, text};
use protocol::encoding::{from_base64url, to_base64url};
use protocol::messages::Released;
use protocol::record::RecordName;
use protocol::sealing::{Info, OpeningKey};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

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
    assert_eq!(log.len(), before + 5, "one wish, the revocation and three refusals");
    let denied = log.iter().find(|event| event["evt"] == "admin.denied").unwrap();
    assert_eq!((&denied["prov"], &denied["disclosed"]["provider_ref"]), (&json!("software"), &json!("customer-key")));
    assert_eq!(denied["disclosed"]["actor"], "token:operator");
}

/// A broker with a tenant, and an administrator's folder.
struct Online {
    broker: Broker,
    vkey: String,
    folder: TempDir,
    provider: &'static str,
    key: String,
}

impl Online {
    /// With the provider `bao`, of which the key `customer-key` is wished.
    async fn with_openbao() -> (Self, Bao) {
        let bao = Bao::start().await;
        // OpenBao makes its wrapping key at the first request, which on a busy machine takes longer than a call may.
        bao.call(Method::GET, "transit/wrapping_key", Value::Null).await.unwrap();
        let mut broker = Broker::prepared(|config| config + &Bao::provider(bao.port));
        broker.run(&["env", &format!("BAO={BAO_TOKEN}")]).await;
        (Self::with(broker, "bao", "customer-key".into()).await, bao)
    }

    /// With the provider `aws`, which has a key without material.
    async fn with_aws() -> (Self, Aws) {
        let aws = Aws::start().await;
        let made = aws.kms.call("CreateKey", &json!({"Origin": "EXTERNAL"})).await;
        let mut broker = Broker::prepared(|config| config + &aws.provider());
        broker.run(&AWS_ENVIRONMENT).await;
        (Self::with(broker, "aws", made["KeyMetadata"]["Arn"].as_str().unwrap().into()).await, aws)
    }

    async fn with(broker: Broker, provider: &'static str, key: String) -> Self {
        let made = broker.admin_ok("", json!({"id": TENANT, "name": TENANT, "unattested_days": 30})).await;
        let vkey = made["vkey"].as_str().unwrap().into();
        Self { broker, vkey, folder: TempDir::new().unwrap(), provider, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import_parameters(&self) -> String {
        let parameters = self.path("parameters.json");
        let words = ["import-parameters", TENANT, "--out", parameters.to_str().unwrap()];
        self.succeeded(&self.of_key(&words))
    }

    fn register(&self) {
        self.succeeded(&self.of_key(&["register", TENANT]));
    }

    fn of_key<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [&["kek"], words, &["--provider", self.provider, "--key", &self.key]].concat()
    }

    fn import(&self, material: &str) -> Output {
        self.broker.run_admin(&["kek", "import", TENANT, "--material", self.path(material).to_str().unwrap()])
    }

    /// `keyfold admin`, and what it says.
    fn succeeded(&self, words: &[&str]) -> String {
        let done = self.broker.run_admin(words);
        assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
        text(&done.stdout)
    }

    /// The material, but with one bit of its last byte flipped.
    fn alter_material(&self) {
        let mut material: Value = serde_json::from_slice(&fs::read(self.path("material.json")).unwrap()).unwrap();
        let mut blob = from_base64url(material["material"].as_str().unwrap()).unwrap();
        *blob.last_mut().unwrap() ^= 1;
        material["material"] = to_base64url(&blob).into();
        fs::write(self.path("altered.json"), material.to_string()).unwrap();
    }
}

fn fails(output: &Output, why: &str) {
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains(why), "`{why}` is not in: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_key_is_made_offline_imported_registered_and_opens_what_the_provider_wrapped() {
    let (online, bao) = Online::with_openbao().await;
    let fingerprint = online.import_parameters();
    let said = bao.call(Method::GET, "transit/wrapping_key", Value::Null).await.unwrap();
    let pem = &said["data"]["public_key"];
    assert_eq!(oracle(&json!({"do": "fingerprint", "pem": pem}))["fingerprint"], fingerprint.trim().replace('-', ""));

    let wrapped = ceremony(online.folder.path(), &["--fingerprint", fingerprint.trim(), "--keep", "kek"]);
    assert!(wrapped.status.success(), "{}", text(&wrapped.stderr));
    online.alter_material();
    fails(&online.import("altered.json"), "material_invalid");
    fails(
        &online.broker.run_admin(&[
            "kek",
            "import",
            "other",
            "--material",
            online.path("material.json").to_str().unwrap(),
        ]),
        "is for tenant acme",
    );
    let done = online.import("material.json");
    assert!(done.status.success(), "{}", text(&done.stderr));
    fails(&online.import("material.json"), "provider_broken");
    online.register();

    online.broker.admin_ok("/acme/users", json!({"id": "alice"})).await;
    let (released, context) = backed_up_and_restored(&online.broker).await;
    let ciphertext = online.broker.sql("SELECT CAST(wrapped AS TEXT) FROM wraps").await.unwrap();
    let kek = hex::encode(fs::read(online.path("kek")).unwrap());
    let opened = oracle(&json!({"do": "open_transit", "key": kek, "ciphertext": ciphertext, "context": context}));
    assert_eq!(opened["plaintext"], released, "our own copy of the key opens what OpenBao wrapped");

    let log = online.broker.verified_log(TENANT, &online.vkey);
    assert_eq!(outcomes(&log, "kek.import_requested").len(), 1 + outcomes(&log, "admin.denied").len());
    assert_eq!(outcomes(&log, "kek.imported"), ["ok"]);
    assert_eq!(outcomes(&log, "admin.denied")[0], "material_invalid");
    assert_eq!(outcomes(&log, "kek.registered"), ["ok"]);
    let imported = log.iter().find(|event| event["evt"] == "kek.imported").unwrap();
    assert_eq!((&imported["prov"], &imported["disclosed"]["provider_ref"]), (&json!("bao"), &json!("customer-key")));
    assert!(!online.broker.log().contains(&kek));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_imported_for_a_revoked_tenant() {
    let (online, bao) = Online::with_openbao().await;
    let fingerprint = online.import_parameters();
    assert!(ceremony(online.folder.path(), &["--fingerprint", fingerprint.trim()]).status.success());
    online.broker.revoke(TENANT, "tenant", None).await;
    fails(&online.import("material.json"), "tenant_inactive");
    assert!(bao.call(Method::GET, "transit/keys/customer-key", Value::Null).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_key_gets_to_aws_by_the_mechanism_that_it_takes() {
    let (online, _aws) = Online::with_aws().await;
    let fingerprint = online.import_parameters();
    let parameters: Value = serde_json::from_slice(&fs::read(online.path("parameters.json")).unwrap()).unwrap();
    assert_eq!((&parameters["mechanism"], &parameters["hash"]), (&json!("CKM_RSA_PKCS_OAEP"), &json!("SHA-256")));
    assert!(parameters["token"] != "" && parameters["expires_at"].as_i64().unwrap() > 1_700_000_000_000);
    let done = ceremony(online.folder.path(), &["--fingerprint", fingerprint.trim()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    online.alter_material();
    fails(&online.import("altered.json"), "material_invalid");
    let done = online.import("material.json");
    assert!(done.status.success(), "{}", text(&done.stderr));
    online.register();
    online.broker.admin_ok("/acme/users", json!({"id": "alice"})).await;
    let (released, context) = backed_up_and_restored(&online.broker).await;
    assert!(released.ends_with(&context), "a wrapping secret and its context");
}

/// What a device got back, and the context of its record, in hexadecimal.
async fn backed_up_and_restored(broker: &Broker) -> (String, String) {
    let device = Raw::enrol(broker, TENANT, "alice").await;
    let wrap = device.backup("identity", 1, b"the key").await;
    let (opened, receive): (_, OpeningKey) = device.open("identity").await;
    let released: Released = device.release(&opened).await.json();
    let name = RecordName {
        tenant: TENANT.parse().unwrap(),
        user: "alice".parse().unwrap(),
        kind: wrap.kind,
        generation: 1,
        record: wrap.record,
        device: device.id(),
        suite: wrap.suite,
    };
    let context = name.context();
    let info = Info::release(&context, &opened.transcript.0);
    let payload = receive.open(&info, &released.records[0].sealed.0).unwrap();
    #[expect(clippy::disallowed_methods, reason = "compared with what another implementation opens")]
    let payload = hex::encode(payload.expose());
    (payload, hex::encode(context.as_bytes()))
}
