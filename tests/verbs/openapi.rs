//! schemathesis asks all that the OpenAPI document allows, and what it does not: every answer is as the document says.

use crate::harness::{Broker, TENANT, text};
use std::env;
use std::fs;
use std::process::Command;

/// Answers that are errors of the server, or not documented: status, media type, headers and body; and whether anything was
/// taken that the document does not allow.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection";
/// Cases of each kind for each operation, beside those that cover the document.
const EXAMPLES: &str = "25";

/// What schemathesis finds wrong; empty where it finds nothing. `parameters` are the values that paths are given.
fn findings(broker: &Broker, parameters: &[(&str, &str)], arguments: &[&str]) -> String {
    let lines = parameters.iter().map(|(name, value)| format!("\"path.{name}\" = \"{value}\"\n"));
    let config = broker.path("schemathesis.toml");
    fs::write(&config, format!("[parameters]\n{}", lines.collect::<String>())).unwrap();
    let program = env::var_os("KEYFOLD_SCHEMATHESIS").expect("KEYFOLD_SCHEMATHESIS is set by ./dev test");
    let mut command = Command::new(program);
    command.arg("--config-file").arg(&config).args(["run", &broker.url("/openapi.json"), "--checks", CHECKS]);
    command.arg("--tls-verify").arg(broker.path("ca.pem")).env_remove("REQUESTS_CA_BUNDLE");
    command.args(["--phases", "coverage,fuzzing,stateful", "--max-examples", EXAMPLES, "--generation-deterministic"]);
    command.args(["--no-color", "--continue-on-failure"]).args(arguments);
    let output = command.current_dir(broker.path("")).output().unwrap();
    let report = text(&output.stdout) + &text(&output.stderr);
    assert!(report.contains("Test cases:"), "{report}");
    if output.status.success() { String::new() } else { report }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_in_the_document() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    let rewrap = broker.admin_ok(&format!("/{TENANT}/rewraps"), serde_json::json!({})).await;
    let (_, keks) = broker.admin(&format!("/{TENANT}/keks"), None).await;
    let kek = keks["items"][0]["id"].as_str().unwrap();
    let token = format!("Authorization: Bearer {}", broker.token());

    let nobody = findings(&broker, &[], &[]);
    assert!(nobody.is_empty(), "{nobody}");
    let known = [
        ("tenant", TENANT),
        ("user", "alice"),
        ("kek", kek),
        ("rewrap", rewrap["id"].as_str().unwrap()),
        ("sink", "events"),
    ];
    // Revocations first would leave nothing to ask about.
    let admin = findings(&broker, &known, &["--header", &token, "--exclude-operation-id", "admin_revoke"]);
    assert!(admin.is_empty(), "{admin}");
    let admin = findings(&broker, &[], &["--header", &token]);
    assert!(admin.is_empty(), "{admin}");
}
