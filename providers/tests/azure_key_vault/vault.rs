//! A counterpart with two keys, and the room connected to it.

use counterparts::azure::{self, Registration};
use keyfold_providers::azure_key_vault::{Algorithm, AzureKeyVault, Credential, Kind, Options};
use keyfold_providers::{Context, Error, KeyProvider, KeyRef, Wrapped};
use reqwest::Method;
use secret::Secret;
use serde_json::{Value, json};

pub(crate) const SECRET: [u8; 32] = [9; 32];
pub(crate) const CONTEXT: Context = Context::new([1; 32]);
pub(crate) const CLIENT_ID: &str = "keyfold";

pub(crate) struct Vault {
    pub(crate) azure: azure::AzureKeyVault,
    pub(crate) registration: Registration,
    algorithm: Algorithm,
    kind: Kind,
}

impl Vault {
    /// A key vault that holds the RSA keys `first` and `second`.
    pub(crate) async fn start() -> Self {
        Self::start_as(Kind::Vault, Algorithm::RsaOaep256).await
    }

    /// What holds keys `first` and `second` for `algorithm`.
    pub(crate) async fn start_as(kind: Kind, algorithm: Algorithm) -> Self {
        let azure = azure::AzureKeyVault::start(match kind {
            Kind::Vault => azure::Kind::Vault,
            Kind::ManagedHsm => azure::Kind::ManagedHsm,
        })
        .await;
        let registration = azure.register(CLIENT_ID);
        let vault = Self { azure, registration, algorithm, kind };
        for key in ["first", "second"] {
            vault.create(key, &json!({}));
        }
        vault
    }

    /// A key, or another version of it, with these attributes; its version.
    pub(crate) fn create(&self, key: &str, attributes: &Value) -> String {
        let kty = match (self.kind, self.algorithm) {
            (Kind::Vault, _) => "RSA",
            (Kind::ManagedHsm, Algorithm::RsaOaep256) => "RSA-HSM",
            (Kind::ManagedHsm, Algorithm::A256Kw | Algorithm::A256Gcm) => "oct-HSM",
        };
        let made =
            self.own(&Method::POST, &format!("/keys/{key}/create"), &json!({"kty": kty, "attributes": attributes}));
        made["key"]["kid"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned()
    }

    /// Changes attributes of the newest version.
    pub(crate) fn update(&self, key: &str, attributes: &Value) {
        self.own(&Method::PATCH, &format!("/keys/{key}"), &json!({"attributes": attributes}));
    }

    /// What the vault's owner is answered, past the room.
    pub(crate) fn own(&self, method: &Method, path: &str, body: &Value) -> Value {
        self.azure.own(method, path, body).unwrap_or_else(|refusal| panic!("{path}: {refusal}"))
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            vault_url: self.azure.url().to_owned(),
            kind: self.kind,
            algorithm: self.algorithm,
            credential: Credential::ClientCertificate {
                tenant_id: "tenant".to_owned(),
                client_id: CLIENT_ID.to_owned(),
                certificate: self.registration.certificate_pem.clone().into_bytes(),
                key: Secret::copied_from(self.registration.key_pem.as_bytes()),
            },
            authority_host: Some(self.azure.authority_host().to_owned()),
            ca_pem: Some(self.azure.ca_pem().as_bytes().to_vec()),
        }
    }

    pub(crate) fn connect(&self) -> AzureKeyVault {
        AzureKeyVault::connect(self.options()).unwrap()
    }

    /// Signed in: from now on each call is one request.
    pub(crate) async fn signed_in(&self) -> AzureKeyVault {
        let room = self.connect();
        room.inspect(&first()).await.unwrap();
        room
    }
}

pub(crate) fn first() -> KeyRef {
    KeyRef::new("first")
}

pub(crate) async fn wrap(room: &AzureKeyVault, key: &KeyRef) -> Result<Wrapped, Error> {
    room.wrap_key(key, &Secret::copied_from(&SECRET), &CONTEXT).await
}

/// Whether `wrapped` opens to what `wrap` wrapped.
pub(crate) async fn opens(room: &AzureKeyVault, key: &KeyRef, wrapped: &Wrapped) -> bool {
    room.unwrap_key(key, wrapped, &CONTEXT).await.is_ok_and(|secret| secret.matches(&SECRET))
}
