//! Runs the counterpart of Azure Key Vault (or, with `--managed-hsm`, of Managed HSM) until it is interrupted.
//! The first lines of its output are JSON: where it is, whom it trusts, an application that may sign in, and an RSA key.

use axum::http::Method;
use keyfold_counterparts::azure::{AzureKeyVault, Kind};
use serde_json::json;
use std::env;
use std::io::{self, Write};

const CLIENT_ID: &str = "keyfold";
const KEK: &str = "kek";

#[tokio::main]
async fn main() -> io::Result<()> {
    let managed_hsm = env::args().any(|argument| argument == "--managed-hsm");
    let (kind, kty) = if managed_hsm { (Kind::ManagedHsm, "RSA-HSM") } else { (Kind::Vault, "RSA") };
    let azure = AzureKeyVault::start(kind).await;
    let registration = azure.register(CLIENT_ID);
    let made = azure.own(&Method::POST, &format!("/keys/{KEK}/create"), &json!({"kty": kty}));
    made.map_err(|refusal| io::Error::other(refusal.to_string()))?;
    let started = json!({
        "vault": azure.url(), "authority_host": azure.authority_host(), "ca": azure.ca_pem(), "kek": KEK,
        "client_id": CLIENT_ID, "certificate": registration.certificate_pem, "key": registration.key_pem,
    });
    writeln!(io::stdout(), "{started:#}")?;
    tokio::signal::ctrl_c().await
}
