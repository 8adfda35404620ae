//! The counterpart with keys in it, and the room connected to it.

use counterparts::google::{ALL_PERMISSIONS, GoogleKms as Counterpart};
use keyfold_providers::KeyRef;
use keyfold_providers::google_kms::{ConnectError, Credentials, GoogleKms, Options};
use reqwest::Method;
use secret::Secret;
use serde_json::{Value, json};

const RING: &str = "projects/test/locations/europe-west1/keyRings/ring";
const OWNER: &str = "owner";
/// The custom role of the README.
pub(crate) const LEAST_PRIVILEGE: &[&str] = &[
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeyVersions.get",
    "cloudkms.cryptoKeyVersions.useToDecrypt",
    "cloudkms.cryptoKeyVersions.useToEncrypt",
    "cloudkms.cryptoKeyVersions.viewPublicKey",
];
/// What an import needs beside.
pub(crate) const IMPORT: &[&str] = &[
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeys.update",
    "cloudkms.cryptoKeyVersions.create",
    "cloudkms.cryptoKeyVersions.list",
    "cloudkms.importJobs.create",
    "cloudkms.importJobs.get",
    "cloudkms.importJobs.list",
];

pub(crate) struct Cloud {
    pub(crate) kms: Counterpart,
    http: reqwest::Client,
}

impl Cloud {
    /// With the AES keys `first` and `second`.
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let cloud = Self { kms: Counterpart::start().await, http };
        cloud.kms.accept_token(OWNER, ALL_PERMISSIONS);
        let location = RING.strip_suffix("/ring").unwrap();
        cloud.owner(Method::POST, &format!("{location}?keyRingId=ring"), json!({})).await;
        for name in ["first", "second"] {
            cloud.create_key(name, json!({"purpose": "ENCRYPT_DECRYPT"})).await;
        }
        cloud
    }

    pub(crate) async fn create_key(&self, name: &str, body: Value) -> KeyRef {
        self.owner(Method::POST, &format!("{RING}/cryptoKeys?cryptoKeyId={name}"), body).await;
        key(name)
    }

    /// An AES key that waits for its first version.
    pub(crate) async fn create_key_to_import(&self, name: &str) -> KeyRef {
        let path = format!("{RING}/cryptoKeys?cryptoKeyId={name}&skipInitialVersionCreation=true");
        self.owner(Method::POST, &path, json!({"purpose": "ENCRYPT_DECRYPT", "importOnly": true})).await;
        key(name)
    }

    /// Version 1 of a new RSA key.
    pub(crate) async fn create_rsa_key(&self, name: &str, bits: u32) -> KeyRef {
        let template = json!({"algorithm": format!("RSA_DECRYPT_OAEP_{bits}_SHA256")});
        self.create_key(name, json!({"purpose": "ASYMMETRIC_DECRYPT", "versionTemplate": template})).await;
        version(name, 1)
    }

    /// Makes another version the primary one.
    pub(crate) async fn rotate(&self, name: &str) {
        let created = self.owner(Method::POST, &format!("{RING}/cryptoKeys/{name}/cryptoKeyVersions"), json!({})).await;
        let number = created["name"].as_str().unwrap().rsplit('/').next().unwrap();
        let body = json!({"cryptoKeyVersionId": number});
        self.owner(Method::POST, &format!("{RING}/cryptoKeys/{name}:updatePrimaryVersion"), body).await;
    }

    pub(crate) async fn set_state(&self, version: &KeyRef, state: &str) {
        let path = format!("{}?updateMask=state", version.as_str());
        self.owner(Method::PATCH, &path, json!({ "state": state })).await;
    }

    /// A call of whoever may do everything. `path` comes after `/v1/`.
    pub(crate) async fn owner(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.http.request(method, format!("{}/v1/{path}", self.kms.url()));
        let response = request.bearer_auth(OWNER).json(&body).send().await.unwrap();
        let (status, answer) = (response.status(), response.json().await.unwrap());
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    pub(crate) async fn connect(&self) -> GoogleKms {
        self.connect_as(LEAST_PRIVILEGE, &self.kms.url()).await.unwrap()
    }

    /// As a new service account with these permissions, by way of `endpoint`.
    pub(crate) async fn connect_as(&self, permissions: &[&str], endpoint: &str) -> Result<GoogleKms, ConnectError> {
        connect_with(&self.kms.service_account(permissions), endpoint).await
    }
}

pub(crate) async fn connect_with(credentials: &str, endpoint: &str) -> Result<GoogleKms, ConnectError> {
    let credentials = Credentials::File(Secret::copied_from(credentials.as_bytes()));
    GoogleKms::connect(Options { endpoint: Some(endpoint.to_owned()), credentials, quota_project: None }).await
}

pub(crate) fn key(name: &str) -> KeyRef {
    KeyRef::new(format!("{RING}/cryptoKeys/{name}"))
}

pub(crate) fn version(name: &str, number: u32) -> KeyRef {
    KeyRef::new(format!("{RING}/cryptoKeys/{name}/cryptoKeyVersions/{number}"))
}
