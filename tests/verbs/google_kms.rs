//! A broker whose root key is in Google Cloud KMS, with the key of a service account.

use crate::harness::Broker;
use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::google::{ALL_PERMISSIONS, GoogleKms};
use serde_json::{Value, json};
use std::fs;

const RINGS: &str = "projects/p/locations/eu/keyRings";

#[tokio::test(flavor = "multi_thread")]
async fn the_root_key_may_be_in_google_kms_and_no_log_shows_what_it_wraps() {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kms = GoogleKms::start().await;
    kms.accept_token("owner", ALL_PERMISSIONS);
    create(&kms, &format!("{RINGS}?keyRingId=r"), json!({})).await;
    create(&kms, &format!("{RINGS}/r/cryptoKeys?cryptoKeyId=root"), json!({"purpose": "ENCRYPT_DECRYPT"})).await;
    let rights = ["get", "useToEncrypt", "useToDecrypt"].map(|right| format!("cloudkms.cryptoKeyVersions.{right}"));
    let rights = ["cloudkms.cryptoKeys.get", &rights[0], &rights[1], &rights[2]];
    let account = kms.service_account(&rights);

    let mut broker = Broker::prepared(|config| {
        let config = config.replace("provider = \"software\"", "provider = \"google\"");
        let config = config.replace("key = \"root\"", &format!("key = \"{RINGS}/r/cryptoKeys/root\""));
        let credentials = "credentials = { file = \"account.json\" }";
        format!("{config}\n[providers.google]\ntype = \"google_kms\"\nendpoint = \"{}\"\n{credentials}\n", kms.url())
    });
    fs::write(broker.path("account.json"), &account).unwrap();
    broker.run(&["env", "KEYFOLD_LOG=trace"]).await;
    broker.stop();
    broker.run(&["env", "KEYFOLD_LOG=trace"]).await;

    let (plaintexts, log) = (kms.plaintexts(), broker.log());
    assert_eq!(plaintexts.len(), 1, "the root key wraps one key, once");
    assert!(log.contains("TRACE"), "libraries log at all");
    let account: Value = serde_json::from_str(&account).unwrap();
    let private_key = account["private_key"].as_str().unwrap().lines().nth(1).unwrap();
    let plaintext = BASE64_STANDARD.encode(&plaintexts[0]);
    // The first part of every token that a service account signs.
    for hidden in [&plaintext, private_key, "Bearer eyJ"] {
        assert!(!log.contains(hidden), "the log shows {hidden}");
    }
}

async fn create(kms: &GoogleKms, path: &str, body: Value) {
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{}/v1/{path}", kms.url()));
    assert!(request.bearer_auth("owner").json(&body).send().await.unwrap().status().is_success());
}
