//! Microsoft's own Python clients against the counterpart: what they can do with it, our room may rely on.
//! `KEYFOLD_AZURE_CLIENTS` names their virtual environment.

#![cfg(test)]

use keyfold_counterparts::azure::{AzureKeyVault, Kind};
use serde_json::{Value, json};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const CLIENT_ID: &str = "application";

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_clients_are_served_by_a_vault() {
    let azure = AzureKeyVault::start(Kind::Vault).await;
    let held = run(&azure, Kind::Vault).await;
    assert_eq!(
        held,
        ["sign_in", "rsa", "versions", "validity", "disabled", "deleted", "missing", "no_aes"]
            .map(|step| step.to_owned() + " ok")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_clients_are_served_by_a_managed_hsm() {
    let azure = AzureKeyVault::start(Kind::ManagedHsm).await;
    let held = run(&azure, Kind::ManagedHsm).await;
    assert_eq!(held.len(), 9, "{held:?}");
    assert_eq!(held[7..], ["aes ok", "imported ok"]);
}

/// The first answer is a second challenge; the clients sign in again with the claims that it asks for.
#[tokio::test(flavor = "multi_thread")]
async fn microsofts_clients_meet_a_demand_for_claims() {
    let azure = AzureKeyVault::start(Kind::Vault).await;
    azure.demand_claims();
    assert_eq!(run(&azure, Kind::Vault).await.len(), 8);
}

/// What the script of the clients prints; a script that fails fails the test.
async fn run(azure: &AzureKeyVault, kind: Kind) -> Vec<String> {
    let registration = azure.register(CLIENT_ID);
    let given = json!({
        "vault": azure.url(), "authority_host": azure.authority_host(), "ca": azure.ca_pem(),
        "client_id": CLIENT_ID, "certificate": registration.certificate_pem, "key": registration.key_pem,
        "managed_hsm": kind == Kind::ManagedHsm,
    });
    let output = python(&given).await;
    output.lines().map(str::to_owned).collect()
}

async fn python(given: &Value) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let clients =
        env::var_os("KEYFOLD_AZURE_CLIENTS").map_or_else(|| root.join("target/test-env/azure-venv"), PathBuf::from);
    let python = clients.join("bin/python");
    let mut child = Command::new(&python)
        .arg(root.join("tests/oracles/azure_keyvault_client.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error} (./dev test installs them)", python.display()));
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "the clients are not served");
    String::from_utf8(output.stdout).unwrap()
}
