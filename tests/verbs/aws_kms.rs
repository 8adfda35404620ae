//! A broker whose root key is in AWS KMS, with credentials of its environment.

use crate::harness::Broker;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Json, Router, routing::post};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// All plaintexts that came in, in base64; the ciphertext is the place in this list.
type Plaintexts = Arc<Mutex<Vec<String>>>;

/// As much of KMS as a root key needs.
async fn kms(State(plaintexts): State<Plaintexts>, headers: HeaderMap, body: String) -> Json<Value> {
    let request: Value = serde_json::from_str(&body).unwrap();
    let (key, mut known) = (&request["KeyId"], plaintexts.lock().unwrap());
    Json(match headers["x-amz-target"].to_str().unwrap() {
        "TrentService.DescribeKey" => json!({"KeyMetadata": {
            "KeyId": key, "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled",
        }}),
        "TrentService.Encrypt" => {
            known.push(request["Plaintext"].as_str().unwrap().to_owned());
            json!({"KeyId": key, "CiphertextBlob": BASE64_STANDARD.encode((known.len() - 1).to_string())})
        }
        "TrentService.Decrypt" => {
            let place = BASE64_STANDARD.decode(request["CiphertextBlob"].as_str().unwrap()).unwrap();
            let place: usize = String::from_utf8(place).unwrap().parse().unwrap();
            json!({"KeyId": key, "Plaintext": known[place]})
        }
        other => panic!("{other}"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_key_may_be_in_aws_kms_and_no_log_shows_what_it_wraps() {
    let plaintexts = Plaintexts::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(kms)).with_state(plaintexts.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut broker = Broker::prepared(|config| {
        config.replace("provider = \"software\"", "provider = \"aws\"")
            + &format!("\n[providers.aws]\ntype = \"aws_kms\"\nregion = \"eu-central-1\"\nendpoint = \"{endpoint}\"\n")
    });
    let environment =
        ["env", "KEYFOLD_LOG=trace", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=the-secret-access-key"];
    broker.run(&environment).await;
    broker.stop();
    broker.run(&environment).await;
    let (plaintexts, log) = (plaintexts.lock().unwrap().clone(), broker.log());
    assert_eq!(plaintexts.len(), 1, "the root key wraps one key, once");
    assert!(log.contains("DescribeKey") && log.contains("TRACE"), "AWS's library logs at all");
    for hidden in [&plaintexts[0], "the-secret-access-key"] {
        assert!(!log.contains(hidden), "the log shows {hidden}");
    }
}
