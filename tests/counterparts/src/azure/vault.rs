//! The keys, and what the REST API does with them.

use super::Kind;
use super::jwk::{Attributes, Specification, Version};
use super::material::{Material, Sealed};
use super::refusal::Refusal;
use super::transfer::Transfer;
use axum::http::Method;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Answer = Result<Value, Refusal>;

/// A vault's keys: by name, versions from oldest to newest.
#[derive(Debug)]
pub(super) struct Vault {
    url: String,
    kind: Kind,
    keys: BTreeMap<String, Vec<Version>>,
    deleted: BTreeMap<String, Vec<Version>>,
    denied: BTreeSet<&'static str>,
}

#[derive(Debug, Deserialize)]
struct Create {
    #[serde(flatten)]
    specification: Specification,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
struct Update {
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
struct Import {
    key: ImportedKey,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
struct ImportedKey {
    #[serde(flatten)]
    specification: Specification,
    key_hsm: String,
}

#[derive(Debug, Deserialize)]
struct Operation {
    alg: String,
    value: String,
    iv: Option<String>,
    tag: Option<String>,
    aad: Option<String>,
}

impl Vault {
    pub(super) fn new(url: String, kind: Kind) -> Self {
        Self { url, kind, keys: BTreeMap::new(), deleted: BTreeMap::new(), denied: BTreeSet::new() }
    }

    pub(super) fn deny(&mut self, operation: &'static str) {
        self.denied.insert(operation);
    }

    /// Whether callers' role allows this.
    pub(super) fn permit(&self, method: &Method, path: &str) -> Result<(), Refusal> {
        let operation = match (method.as_str(), segments(path).as_slice()) {
            ("GET", ["deletedkeys", _]) => "getdeleted",
            ("GET", _) => "get",
            ("PUT", _) => "import",
            ("POST", ["keys", .., operation]) => operation,
            _ => "manage",
        };
        if self.denied.contains(operation) {
            return Err(Refusal::forbidden(Some("ForbiddenByRbac"), "Caller is not authorized to perform action."));
        }
        Ok(())
    }

    /// What a request whose caller may make it is answered with; null where the answer has no body.
    pub(super) fn answer(&mut self, now: i64, method: &Method, path: &str, body: &Value) -> Answer {
        match (method.as_str(), segments(path).as_slice()) {
            ("POST", ["keys", name, "create"]) => self.create(now, name, read(body)?),
            ("POST", ["keys", name, "rotate"]) => self.rotate(now, name),
            ("PUT", ["keys", name]) => self.import(now, name, read(body)?),
            ("DELETE", ["keys", name]) => self.delete(now, name),
            ("GET", ["keys", name, "versions"]) => self.versions(name),
            ("GET", ["keys", name]) => self.get(name, ""),
            ("GET", ["keys", name, version]) => self.get(name, version),
            ("PATCH", ["keys", name]) => self.update(name, "", &read(body)?),
            ("PATCH", ["keys", name, version]) => self.update(name, version, &read(body)?),
            ("POST", ["keys", name, version, operation]) => self.operate(now, (name, version), operation, &read(body)?),
            ("GET", ["deletedkeys", name]) => self.deleted(now, name),
            ("DELETE", ["deletedkeys", name]) => self.purge(name),
            ("POST", ["deletedkeys", name, "recover"]) => self.recover(name),
            _ => Err(Refusal::no_such_operation()),
        }
    }

    fn create(&mut self, now: i64, name: &str, create: Create) -> Answer {
        self.permit_kind(&create.specification)?;
        let material = Material::create(&create.specification)?;
        self.add(name, Version::new(now, &create.specification, material, create.attributes))
    }

    fn rotate(&mut self, now: i64, name: &str) -> Answer {
        let next = self.find(name, "")?.next(now)?;
        self.add(name, next)
    }

    fn import(&mut self, now: i64, name: &str, import: Import) -> Answer {
        self.permit_kind(&import.key.specification)?;
        let transfer = Transfer::read(&import.key.key_hsm)?;
        let path = transfer.kid().strip_prefix(&self.url).unwrap_or_default();
        let material = match segments(path).as_slice() {
            ["keys", name, version] => transfer.open(self.find(name, version)?, &import.key.specification)?,
            _ => return Err(Refusal::bad_parameter("The key transfer blob names no key of this vault.")),
        };
        self.add(name, Version::new(now, &import.key.specification, material, import.attributes))
    }

    fn delete(&mut self, now: i64, name: &str) -> Answer {
        let versions = self.keys.remove(name).ok_or_else(|| Refusal::key_not_found(name))?;
        self.deleted.insert(name.to_owned(), versions);
        self.deleted(now, name)
    }

    fn versions(&self, name: &str) -> Answer {
        let versions = self.keys.get(name).map(Vec::as_slice).unwrap_or_default().iter();
        let shown =
            versions.map(|version| json!({"kid": self.kid(name, version), "attributes": version.shown_attributes()}));
        Ok(json!({"value": shown.collect::<Value>(), "nextLink": null}))
    }

    /// A vault shows no disabled key; a Managed HSM does, and says that it is.
    fn get(&self, name: &str, version: &str) -> Answer {
        let version = self.find(name, version)?;
        if self.kind == Kind::Vault && !version.is_enabled() {
            return Err(Refusal::forbidden(Some("KeyDisabled"), "Operation get is not allowed on a disabled key."));
        }
        Ok(version.bundle(&self.kid(name, version)))
    }

    fn update(&mut self, name: &str, version: &str, update: &Update) -> Answer {
        let id = self.find(name, version)?.id.clone();
        let versions = self.keys.get_mut(name).into_iter().flatten();
        versions.filter(|version| version.id == id).for_each(|version| version.update(&update.attributes));
        let version = self.find(name, version)?;
        Ok(version.bundle(&self.kid(name, version)))
    }

    fn operate(&self, now: i64, (name, version): (&str, &str), operation: &str, asked: &Operation) -> Answer {
        let version = self.find(name, version)?;
        let (key, algorithm) = (&version.material, asked.alg.as_str());
        let value = decode(&asked.value)?;
        let [iv, tag, aad] =
            [&asked.iv, &asked.tag, &asked.aad].map(|part| decode(part.as_deref().unwrap_or_default()));
        let (iv, tag, aad) = (iv?, tag?, aad?);
        let gcm = algorithm.ends_with("GCM");
        let permit = |operation| version.permit(now, operation);
        let mut answer = json!({"kid": self.kid(name, version)});
        let value = match operation {
            "wrapkey" => permit("wrapKey").and_then(|()| key.wrap(algorithm, &value)),
            "unwrapkey" => permit("unwrapKey").and_then(|()| key.unwrap(algorithm, &value)),
            "encrypt" if gcm => permit("encrypt").and_then(|()| key.seal(algorithm, &value, &aad)).map(|sealed| {
                answer["iv"] = encode(&sealed.iv);
                answer["tag"] = encode(&sealed.tag);
                answer["aad"] = encode(&aad);
                sealed.value
            }),
            "decrypt" if gcm => permit("decrypt").and_then(|()| key.open(algorithm, Sealed { iv, value, tag }, &aad)),
            "encrypt" => permit("encrypt").and_then(|()| key.wrap(algorithm, &value)),
            "decrypt" => permit("decrypt").and_then(|()| key.unwrap(algorithm, &value)),
            _ => Err(Refusal::no_such_operation()),
        };
        answer["value"] = encode(&value?);
        Ok(answer)
    }

    fn deleted(&self, now: i64, name: &str) -> Answer {
        let version = self.deleted.get(name).and_then(|versions| versions.last());
        let version = version.ok_or_else(|| Refusal::key_not_found(name))?;
        let mut bundle = version.bundle(&self.kid(name, version));
        bundle["recoveryId"] = format!("{}/deletedkeys/{name}", self.url).into();
        bundle["deletedDate"] = now.into();
        bundle["scheduledPurgeDate"] = (now + 90 * 86_400).into();
        Ok(bundle)
    }

    fn purge(&mut self, name: &str) -> Answer {
        self.deleted.remove(name).map(|_| Value::Null).ok_or_else(|| Refusal::key_not_found(name))
    }

    fn recover(&mut self, name: &str) -> Answer {
        let versions = self.deleted.remove(name).ok_or_else(|| Refusal::key_not_found(name))?;
        self.keys.insert(name.to_owned(), versions);
        let version = self.find(name, "")?;
        Ok(version.bundle(&self.kid(name, version)))
    }

    fn add(&mut self, name: &str, version: Version) -> Answer {
        if self.deleted.contains_key(name) {
            return Err(Refusal::conflict(name));
        }
        let bundle = version.bundle(&self.kid(name, &version));
        self.keys.entry(name.to_owned()).or_default().push(version);
        Ok(bundle)
    }

    /// The version of that id, or the newest where it is empty.
    fn find(&self, name: &str, version: &str) -> Result<&Version, Refusal> {
        let not_found = || Refusal::key_not_found(&format!("{name}/{version}"));
        let versions = self.keys.get(name).ok_or_else(not_found)?;
        let found =
            if version.is_empty() { versions.last() } else { versions.iter().find(|found| found.id == version) };
        found.ok_or_else(not_found)
    }

    fn permit_kind(&self, specification: &Specification) -> Result<(), Refusal> {
        let hardware = specification.kty.ends_with("-HSM");
        match self.kind {
            Kind::Vault if specification.kty.starts_with("oct") => {
                Err(Refusal::bad_parameter("oct keys are supported in Managed HSM only"))
            }
            Kind::ManagedHsm if !hardware => Err(Refusal::bad_parameter("kty must be a type of hardware key")),
            Kind::Vault | Kind::ManagedHsm => Ok(()),
        }
    }

    fn kid(&self, name: &str, version: &Version) -> String {
        format!("{}/keys/{name}/{}", self.url, version.id)
    }
}

/// An empty version is a segment of its own, except at the end.
fn segments(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').trim_end_matches('/').split('/').collect()
}

fn read<T: DeserializeOwned>(body: &Value) -> Result<T, Refusal> {
    serde_json::from_value(body.clone()).map_err(|error| Refusal::bad_parameter(&error.to_string()))
}

fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::bad_parameter("The value is no base64url."))
}

fn encode(bytes: &[u8]) -> Value {
    BASE64_URL_SAFE_NO_PAD.encode(bytes).into()
}
