//! Google Cloud KMS as its counterpart has it, behind a front that spoils answers when told to.

use counterparts::front::Front;
use counterparts::google::{ALL_PERMISSIONS, GoogleKms};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

/// The ring that all keys are on.
pub const RING: &str = "projects/test/locations/europe-west1/keyRings/ring";
const OWNER: &str = "owner";
/// The custom role of the room's README.
const LEAST_PRIVILEGE: &[&str] = &[
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeyVersions.get",
    "cloudkms.cryptoKeyVersions.useToDecrypt",
    "cloudkms.cryptoKeyVersions.useToEncrypt",
    "cloudkms.cryptoKeyVersions.viewPublicKey",
];

/// Ends when it is dropped.
pub struct Google {
    pub kms: GoogleKms,
    pub front: Front,
    folder: TempDir,
}

impl Google {
    /// With an empty ring, and a service account for the broker.
    pub async fn start() -> Self {
        let kms = GoogleKms::start().await;
        kms.accept_token(OWNER, ALL_PERMISSIONS);
        let front = Front::before(&kms.url()).await;
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("account.json"), kms.service_account(LEAST_PRIVILEGE)).unwrap();
        let google = Self { kms, front, folder };
        let location = RING.strip_suffix("/ring").unwrap();
        google.own(Method::POST, &format!("{location}?keyRingId=ring"), &json!({})).await;
        google
    }

    /// A new AES key; its name.
    pub async fn create_key(&self, id: &str) -> String {
        let path = format!("{RING}/cryptoKeys?cryptoKeyId={id}");
        self.own(Method::POST, &path, &json!({"purpose": "ENCRYPT_DECRYPT"})).await;
        format!("{RING}/cryptoKeys/{id}")
    }

    /// A call of whoever may do everything, past the front. `path` comes after `/v1/`.
    pub async fn own(&self, method: Method, path: &str, body: &Value) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.request(method, format!("{}/v1/{path}", self.kms.url())).bearer_auth(OWNER);
        let answer = request.json(body).send().await.unwrap();
        let (status, answer) = (answer.status(), answer.json().await.unwrap());
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    /// The service account's key file.
    pub fn account(&self) -> String {
        fs::read_to_string(self.folder.path().join("account.json")).unwrap()
    }

    /// The provider `google` of a broker's configuration.
    pub fn provider(&self) -> String {
        format!(
            "\n[providers.google]\ntype = \"google_kms\"\nendpoint = \"{}\"\ncredentials = {{ file = \"{}\" }}\n",
            self.front.url(),
            self.folder.path().join("account.json").display()
        )
    }
}
