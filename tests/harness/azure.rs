//! Azure Key Vault as its counterpart has it, with an application that signs in by certificate.

use counterparts::azure::{AzureKeyVault, Kind, Registration};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const CLIENT_ID: &str = "keyfold";

/// Ends when it is dropped.
pub struct Azure {
    pub vault: AzureKeyVault,
    pub registration: Registration,
    folder: TempDir,
}

impl Azure {
    /// A vault without keys.
    pub async fn start() -> Self {
        let vault = AzureKeyVault::start(Kind::Vault).await;
        let registration = vault.register(CLIENT_ID);
        let folder = TempDir::new().unwrap();
        let files = [
            ("ca.pem", vault.ca_pem()),
            ("certificate.pem", &registration.certificate_pem),
            ("key.pem", &registration.key_pem),
        ];
        for (name, pem) in files {
            fs::write(folder.path().join(name), pem).unwrap();
        }
        Self { vault, registration, folder }
    }

    /// A new RSA key.
    pub fn create_key(&self, name: &str) {
        self.own(&Method::POST, &format!("/keys/{name}/create"), &json!({"kty": "RSA"}));
    }

    /// What the vault answers to its owner.
    pub fn own(&self, method: &Method, path: &str, body: &Value) -> Value {
        self.vault.own(method, path, body).unwrap()
    }

    /// The provider `azure` of a broker's configuration.
    pub fn provider(&self) -> String {
        let file = |name| self.folder.path().join(name).display().to_string();
        format!(
            "\n[providers.azure]\ntype = \"azure_key_vault\"\nvault_url = \"{}\"\nauthority_host = \"{}\"\nca = \"{}\"\n\
             identity = {{ method = \"client_certificate\", tenant_id = \"tenant\", client_id = \"{CLIENT_ID}\", \
             certificate = \"{}\", key = {{ file = \"{}\" }} }}\n",
            self.vault.url(),
            self.vault.authority_host(),
            file("ca.pem"),
            file("certificate.pem"),
            file("key.pem"),
        )
    }
}
