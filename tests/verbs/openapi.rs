//! schemathesis asks all that the OpenAPI document allows, and what it does not: every answer is as the document says.

use crate::harness::{Broker, Raw, TENANT, text};
use serde_json::json;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Answers that are errors of the server, or not documented: status, media type, headers and body; and whether anything was
/// taken that the document does not allow, or is still there when it should be gone.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,use_after_free,ensure_resource_availability";
/// Cases for each operation, beside those that cover the document.
const EXAMPLES: &str = "25";

/// What schemathesis finds wrong; empty where it finds nothing. What a device has to sign is signed by `device`. `known` are
/// the values that names in paths are given.
fn findings(broker: &Broker, device: &Raw, known: &[(&str, String)], arguments: &[&str]) -> String {
    let config = broker.path("schemathesis.toml");
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/schemathesis_device.py");
    let known: String = known.iter().map(|(name, value)| format!("\"path.{name}\" = {value:?}\n")).collect();
    fs::write(&config, format!("hooks = {hooks:?}\n[parameters]\n{known}")).unwrap();
    let program = env::var_os("KEYFOLD_SCHEMATHESIS").expect("KEYFOLD_SCHEMATHESIS is set by ./dev test");
    let mut command = Command::new(program);
    command.arg("--config-file").arg(&config).args(["run", &broker.url("/openapi.json"), "--checks", CHECKS]);
    command.arg("--tls-verify").arg(broker.path("ca.pem")).env_remove("REQUESTS_CA_BUNDLE");
    command.args(["--phases", "coverage,fuzzing,stateful", "--max-examples", EXAMPLES, "--generation-deterministic"]);
    command.args(["--no-color", "--continue-on-failure"]).args(arguments);
    command.env("KEYFOLD_URL", broker.url("")).env("KEYFOLD_CA", broker.path("ca.pem"));
    command.env("KEYFOLD_DEVICE", device.id().to_string()).env("KEYFOLD_DEVICE_KEY", private_key(device));
    let output = command.current_dir(broker.path("")).output().unwrap();
    let report = text(&output.stdout) + &text(&output.stderr);
    assert!(report.contains("Test cases:"), "{report}");
    if output.status.success() { String::new() } else { report }
}

#[expect(clippy::disallowed_methods, reason = "another program signs with the test's own key")]
fn private_key(device: &Raw) -> String {
    hex::encode(device.key.to_pkcs8().expose())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_in_the_document() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let device = Raw::enrol(&broker, TENANT, "alice").await;
    device.backup("identity", 1, b"alice's identity").await;
    let (restore, _) = device.open("identity").await;
    let rewrap = broker.admin_ok(&format!("/{TENANT}/rewraps"), json!({})).await;
    let (_, keks) = broker.admin(&format!("/{TENANT}/keks"), None).await;
    let known = [
        ("tenant", TENANT.to_owned()),
        ("user", "alice".to_owned()),
        ("device", device.id().to_string()),
        ("restore", restore.restore.to_string()),
        ("kek", keks["items"][0]["id"].as_str().unwrap().to_owned()),
        ("rewrap", rewrap["id"].as_str().unwrap().to_owned()),
        ("sink", "events".to_owned()),
    ];
    let nobody = findings(&broker, &device, &[], &[]);
    assert!(nobody.is_empty(), "{nobody}");
    let token = format!("Authorization: Bearer {}", broker.token());
    // The tool reads a body to its end before it judges, and a stream has none for a minute; `lookup.rs` reads it.
    let as_admin = ["--header", &token, "--exclude-operation-id", "log_stream"];
    // Revocations first would leave nothing to ask about.
    let but_revocations = [&as_admin[..], &["--exclude-operation-id", "admin_revoke"]].concat();
    let admin = findings(&broker, &device, &known, &but_revocations);
    assert!(admin.is_empty(), "{admin}");
    assert!(signed_reads(&broker).await > 20, "what was sent for the device was signed as it must be");
    let admin = findings(&broker, &device, &known[..1], &as_admin);
    assert!(admin.is_empty(), "{admin}");
}

/// How often the device was told how its restore stands.
async fn signed_reads(broker: &Broker) -> u32 {
    let metrics = broker.text("/metrics").await;
    let counter = "keyfold_requests_total{route=\"/v1/tenants/{tenant}/restores/{restore}\",status=\"200\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(counter)).map_or(0, |count| count.parse().unwrap())
}
