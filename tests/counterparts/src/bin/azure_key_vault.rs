//! Runs the counterpart of Azure Key Vault (or, with `--managed-hsm`, of Managed HSM) until it is interrupted.
//! The first lines of its output are JSON: where it is, whom it trusts, and an application that may sign in.

use keyfold_counterparts::azure::{AzureKeyVault, Kind};
use serde_json::json;
use std::env;
use std::io::{self, Write};

const CLIENT_ID: &str = "keyfold";

#[tokio::main]
async fn main() -> io::Result<()> {
    let managed_hsm = env::args().any(|argument| argument == "--managed-hsm");
    let azure = AzureKeyVault::start(if managed_hsm { Kind::ManagedHsm } else { Kind::Vault }).await;
    let registration = azure.register(CLIENT_ID);
    let started = json!({
        "vault": azure.url(), "authority_host": azure.authority_host(), "ca": azure.ca_pem(),
        "client_id": CLIENT_ID, "certificate": registration.certificate_pem, "key": registration.key_pem,
    });
    writeln!(io::stdout(), "{started:#}")?;
    tokio::signal::ctrl_c().await
}
