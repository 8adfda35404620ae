//! Making, showing and changing keys and versions.

use super::call::{self, Call, Query};
use super::keys::{CryptoKey, ImportJob, Version};
use super::status::{Code, Status};
use super::words::{Algorithm, ProtectionLevel, Purpose, VersionState};
use super::{Cloud, lock};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) rings: BTreeSet<String>,
    pub(super) keys: BTreeMap<String, CryptoKey>,
    pub(super) jobs: BTreeMap<String, ImportJob>,
}

impl Store {
    pub(super) fn key(&mut self, name: &str) -> Result<&mut CryptoKey, Status> {
        self.keys.get_mut(name).ok_or_else(|| Status::not_found("CryptoKey", name))
    }

    pub(super) fn ring(&self, name: &str) -> Result<(), Status> {
        if self.rings.contains(name) { Ok(()) } else { Err(Status::not_found("KeyRing", name)) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewKey {
    purpose: Purpose,
    #[serde(default)]
    version_template: Template,
    #[serde(default)]
    import_only: bool,
    destroy_scheduled_duration: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Template {
    algorithm: Option<Algorithm>,
    protection_level: Option<ProtectionLevel>,
}

impl Cloud {
    pub(super) fn run(&self, call: Call, query: &Query, body: &[u8]) -> Result<Value, Status> {
        let now = self.now();
        lock(&self.store).keys.values_mut().for_each(|key| key.pass_time(now));
        match call {
            Call::CreateKeyRing { location } => self.create_ring(&location, query),
            Call::CreateCryptoKey { ring } => self.create_key(&ring, query, call::body(body)?),
            Call::GetCryptoKey { key } => Ok(lock(&self.store).key(&key)?.show()),
            Call::UpdatePrimaryVersion { key } => self.update_primary(&key, &call::body(body)?),
            Call::Encrypt { key, version } => self.encrypt(&key, version, call::body(body)?),
            Call::Decrypt { key } => self.decrypt(&key, call::body(body)?),
            Call::CreateVersion { key } => self.create_version(&key),
            Call::ListVersions { key } => self.list_versions(&key),
            Call::ImportVersion { key } => self.import_version(&key, call::body(body)?),
            Call::GetVersion { key, version } => lock(&self.store).key(&key)?.show_version(version),
            Call::UpdateVersion { key, version } => self.update_version(&key, version, &call::body(body)?),
            Call::DestroyVersion { key, version } => self.destroy_version(&key, version),
            Call::RestoreVersion { key, version } => self.restore_version(&key, version),
            Call::GetPublicKey { key, version } => self.public_key(&key, version),
            Call::AsymmetricDecrypt { key, version } => self.asymmetric_decrypt(&key, version, call::body(body)?),
            Call::CreateImportJob { ring } => self.create_job(&ring, query, &call::body(body)?),
            Call::GetImportJob { job } => self.show_job(&job),
            Call::ListImportJobs { ring } => self.list_jobs(&ring),
        }
    }

    fn create_ring(&self, location: &str, query: &Query) -> Result<Value, Status> {
        let name = format!("{location}/keyRings/{}", query.id("keyRingId")?);
        if lock(&self.store).rings.insert(name.clone()) {
            Ok(json!({ "name": name }))
        } else {
            Err(exists("KeyRing", &name))
        }
    }

    fn create_key(&self, ring: &str, query: &Query, wanted: NewKey) -> Result<Value, Status> {
        lock(&self.store).ring(ring)?;
        let name = format!("{ring}/cryptoKeys/{}", query.id("cryptoKeyId")?);
        let symmetric = wanted.purpose == Purpose::EncryptDecrypt;
        let algorithm = wanted.version_template.algorithm.or(symmetric.then_some(Algorithm::Symmetric));
        let algorithm = algorithm.filter(|algorithm| (*algorithm == Algorithm::Symmetric) == symmetric);
        let algorithm = algorithm.ok_or_else(|| Status::invalid("The algorithm does not go with the purpose."))?;
        let mut key = CryptoKey {
            name,
            purpose: wanted.purpose,
            level: wanted.version_template.protection_level.unwrap_or(ProtectionLevel::Software),
            algorithm,
            import_only: wanted.import_only,
            destroy_after: wanted.destroy_scheduled_duration.map_or(Ok(30 * 24 * 3600), |text| seconds(&text))?,
            primary: None,
            versions: BTreeMap::new(),
        };
        if !query.is_set("skipInitialVersionCreation") {
            let first = key.add(Version::generate(algorithm, self.now()));
            key.primary = symmetric.then_some(first);
        }
        let mut store = lock(&self.store);
        if store.keys.contains_key(&key.name) {
            return Err(exists("CryptoKey", &key.name));
        }
        Ok(store.keys.entry(key.name.clone()).or_insert(key).show())
    }

    fn update_primary(&self, name: &str, wanted: &NewPrimary) -> Result<Value, Status> {
        let mut store = lock(&self.store);
        let key = store.key(name)?;
        let number = wanted.crypto_key_version_id.parse().map_err(|_| Status::invalid("No such version."))?;
        if key.purpose != Purpose::EncryptDecrypt {
            return Err(Status::invalid("Only keys for ENCRYPT_DECRYPT have a primary version."));
        }
        key.enabled(number)?;
        key.primary = Some(number);
        Ok(key.show())
    }

    fn create_version(&self, name: &str) -> Result<Value, Status> {
        let algorithm = match lock(&self.store).key(name)? {
            key if key.import_only => return Err(Status::invalid(format!("{name} is import-only."))),
            key => key.algorithm,
        };
        let version = Version::generate(algorithm, self.now());
        let mut store = lock(&self.store);
        let key = store.key(name)?;
        let number = key.add(version);
        key.show_version(number)
    }

    fn list_versions(&self, name: &str) -> Result<Value, Status> {
        let mut store = lock(&self.store);
        let key = store.key(name)?;
        let versions: Result<Vec<Value>, Status> =
            key.versions.keys().map(|number| key.show_version(*number)).collect();
        Ok(json!({"cryptoKeyVersions": versions?, "totalSize": key.versions.len()}))
    }

    fn update_version(&self, name: &str, number: u32, wanted: &NewState) -> Result<Value, Status> {
        let switchable = [VersionState::Enabled, VersionState::Disabled];
        self.change(name, number, &switchable, |version| version.state = wanted.state)
    }

    fn destroy_version(&self, name: &str, number: u32) -> Result<Value, Status> {
        let at = self.now() + lock(&self.store).key(name)?.destroy_after;
        self.change(name, number, &[VersionState::Enabled, VersionState::Disabled], |version| {
            version.state = VersionState::DestroyScheduled;
            version.destroyed_at = Some(at);
        })
    }

    fn restore_version(&self, name: &str, number: u32) -> Result<Value, Status> {
        self.change(name, number, &[VersionState::DestroyScheduled], |version| {
            version.state = VersionState::Disabled;
            version.destroyed_at = None;
        })
    }

    /// Changes a version that is in one of the states `from`.
    fn change(
        &self,
        name: &str,
        number: u32,
        from: &[VersionState],
        change: impl FnOnce(&mut Version),
    ) -> Result<Value, Status> {
        let mut store = lock(&self.store);
        let key = store.key(name)?;
        let state = key.version(number)?.state;
        if !from.contains(&state) {
            let message = format!("{} has state {}.", key.version_name(number), state.word());
            return Err(Status::new(Code::FailedPrecondition, message));
        }
        key.versions.get_mut(&number).map(change);
        key.show_version(number)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewPrimary {
    crypto_key_version_id: String,
}

#[derive(Deserialize)]
struct NewState {
    state: VersionState,
}

pub(super) fn exists(kind: &str, name: &str) -> Status {
    Status::new(Code::AlreadyExists, format!("{kind} {name} already exists."))
}

/// google.protobuf.Duration in JSON.
fn seconds(text: &str) -> Result<i64, Status> {
    let number = text.strip_suffix('s').and_then(|number| number.parse().ok());
    let legal = number.filter(|seconds| (24 * 3600..=120 * 24 * 3600).contains(seconds));
    legal.ok_or_else(|| Status::invalid("destroy_scheduled_duration must be between 24 hours and 120 days."))
}
