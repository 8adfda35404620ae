//! From a method and a path to what is asked for.

use super::status::Status;
use super::words::Base64;
use http::{Method, Uri};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// One method of the API. Names are resource names: `projects/../locations/../keyRings/..` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    CreateKeyRing { location: String },
    CreateCryptoKey { ring: String },
    GetCryptoKey { key: String },
    UpdatePrimaryVersion { key: String },
    Encrypt { key: String, version: Option<u32> },
    Decrypt { key: String },
    CreateVersion { key: String },
    ListVersions { key: String },
    ImportVersion { key: String },
    GetVersion { key: String, version: u32 },
    UpdateVersion { key: String, version: u32 },
    DestroyVersion { key: String, version: u32 },
    RestoreVersion { key: String, version: u32 },
    GetPublicKey { key: String, version: u32 },
    AsymmetricDecrypt { key: String, version: u32 },
    CreateImportJob { ring: String },
    GetImportJob { job: String },
    ListImportJobs { ring: String },
}

impl Call {
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v1/")?;
        let (path, verb) = path.split_once(':').map_or((path, ""), |(path, verb)| (path, verb));
        let parts: Vec<&str> = path.split('/').collect();
        let ["projects", _, "locations", _, "keyRings", rest @ ..] = &parts[..] else { return None };
        let name = |len: usize| parts[..len].join("/");
        match (method.as_str(), rest, verb) {
            ("POST", [], "") => Some(Self::CreateKeyRing { location: name(4) }),
            ("POST", [_, "cryptoKeys"], "") => Some(Self::CreateCryptoKey { ring: name(6) }),
            ("POST", [_, "importJobs"], "") => Some(Self::CreateImportJob { ring: name(6) }),
            ("GET", [_, "importJobs"], "") => Some(Self::ListImportJobs { ring: name(6) }),
            ("GET", [_, "importJobs", _], "") => Some(Self::GetImportJob { job: name(8) }),
            (_, [_, "cryptoKeys", _, rest @ ..], _) => Self::of_key(method, name(8), rest, verb),
            _ => None,
        }
    }

    fn of_key(method: &Method, key: String, rest: &[&str], verb: &str) -> Option<Self> {
        let version = rest.get(1).map(|number| number.parse::<u32>()).transpose().ok()?;
        match (method.as_str(), rest, verb, version) {
            ("GET", [], "", _) => Some(Self::GetCryptoKey { key }),
            ("POST", [], "updatePrimaryVersion", _) => Some(Self::UpdatePrimaryVersion { key }),
            ("POST", [] | ["cryptoKeyVersions", _], "encrypt", version) => Some(Self::Encrypt { key, version }),
            ("POST", [], "decrypt", _) => Some(Self::Decrypt { key }),
            ("POST", ["cryptoKeyVersions"], "", _) => Some(Self::CreateVersion { key }),
            ("GET", ["cryptoKeyVersions"], "", _) => Some(Self::ListVersions { key }),
            ("POST", ["cryptoKeyVersions"], "import", _) => Some(Self::ImportVersion { key }),
            ("GET", ["cryptoKeyVersions", _], "", Some(version)) => Some(Self::GetVersion { key, version }),
            ("PATCH", ["cryptoKeyVersions", _], "", Some(version)) => Some(Self::UpdateVersion { key, version }),
            ("POST", ["cryptoKeyVersions", _], "destroy", Some(version)) => Some(Self::DestroyVersion { key, version }),
            ("POST", ["cryptoKeyVersions", _], "restore", Some(version)) => Some(Self::RestoreVersion { key, version }),
            ("GET", ["cryptoKeyVersions", _, "publicKey"], "", Some(version)) => {
                Some(Self::GetPublicKey { key, version })
            }
            ("POST", ["cryptoKeyVersions", _], "asymmetricDecrypt", Some(version)) => {
                Some(Self::AsymmetricDecrypt { key, version })
            }
            _ => None,
        }
    }

    /// The IAM permission that it needs, as the API's reference names it.
    pub(super) fn permission(&self) -> &'static str {
        match self {
            Self::CreateKeyRing { .. } => "cloudkms.keyRings.create",
            Self::CreateCryptoKey { .. } => "cloudkms.cryptoKeys.create",
            Self::GetCryptoKey { .. } => "cloudkms.cryptoKeys.get",
            Self::UpdatePrimaryVersion { .. } => "cloudkms.cryptoKeys.update",
            Self::Encrypt { .. } => "cloudkms.cryptoKeyVersions.useToEncrypt",
            Self::Decrypt { .. } | Self::AsymmetricDecrypt { .. } => "cloudkms.cryptoKeyVersions.useToDecrypt",
            Self::CreateVersion { .. } | Self::ImportVersion { .. } => "cloudkms.cryptoKeyVersions.create",
            Self::ListVersions { .. } => "cloudkms.cryptoKeyVersions.list",
            Self::GetVersion { .. } => "cloudkms.cryptoKeyVersions.get",
            Self::UpdateVersion { .. } => "cloudkms.cryptoKeyVersions.update",
            Self::DestroyVersion { .. } => "cloudkms.cryptoKeyVersions.destroy",
            Self::RestoreVersion { .. } => "cloudkms.cryptoKeyVersions.restore",
            Self::GetPublicKey { .. } => "cloudkms.cryptoKeyVersions.viewPublicKey",
            Self::CreateImportJob { .. } => "cloudkms.importJobs.create",
            Self::GetImportJob { .. } => "cloudkms.importJobs.get",
            Self::ListImportJobs { .. } => "cloudkms.importJobs.list",
        }
    }
}

/// The parameters after the question mark.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Result<Self, Status> {
        let query = axum::extract::Query::<BTreeMap<String, String>>::try_from_uri(uri);
        query.map(|query| Self(query.0)).map_err(|error| Status::invalid(error.to_string()))
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == "true")
    }

    /// The id that a new resource shall have.
    pub(super) fn id(&self, name: &str) -> Result<&str, Status> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let id = self.0.get(name).filter(|id| (1..=63).contains(&id.len()) && id.chars().all(legal));
        id.map(String::as_str).ok_or_else(|| Status::invalid(format!("{name} must match [a-zA-Z0-9_-]{{1,63}}")))
    }
}

/// A request's body; an empty one has every field at its default.
pub(super) fn body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Status> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Status::invalid(format!("Invalid JSON payload received. {error}")))
}

/// A field that must be there.
pub(super) fn required(field: Option<Base64>, name: &str) -> Result<Vec<u8>, Status> {
    let bytes = field.map(|field| field.0).filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| Status::invalid(format!("The {name} is empty.")))
}
