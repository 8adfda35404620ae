//! Import jobs, and versions imported by them.

use super::call::{Query, required};
use super::keys::{ImportJob, Version};
use super::material::{Material, RsaKey};
use super::status::{Code, Status};
use super::store::exists;
use super::words::{Algorithm, Base64, ImportMethod, JobState, ProtectionLevel, VersionState};
use super::{Cloud, lock};
use aws_lc_rs::rsa::KeySize;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::btree_map::Entry;
use std::thread;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewJob {
    import_method: ImportMethod,
    protection_level: ProtectionLevel,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Import {
    algorithm: Algorithm,
    import_job: String,
    wrapped_key: Option<Base64>,
    /// What clients filled in before there was `wrapped_key`.
    rsa_aes_wrapped_key: Option<Base64>,
}

impl Cloud {
    /// The job's key is generated beside; until then the job is PENDING_GENERATION.
    pub(super) fn create_job(&self, ring: &str, query: &Query, wanted: &NewJob) -> Result<Value, Status> {
        let name = format!("{ring}/importJobs/{}", query.id("importJobId")?);
        let now = self.now();
        let mut store = lock(&self.store);
        store.ring(ring)?;
        let job = ImportJob {
            name: name.clone(),
            level: wanted.protection_level,
            method: wanted.import_method,
            created: now,
            key: None,
        };
        let shown = match store.jobs.entry(name.clone()) {
            Entry::Occupied(_) => return Err(exists("ImportJob", &name)),
            Entry::Vacant(entry) => entry.insert(job).show(now),
        };
        let store = self.store.clone();
        thread::spawn(move || {
            let key = RsaKey::generate(KeySize::Rsa4096);
            if let Some(job) = lock(&store).jobs.get_mut(&name) {
                job.key = Some(key);
            }
        });
        Ok(shown)
    }

    pub(super) fn show_job(&self, name: &str) -> Result<Value, Status> {
        let store = lock(&self.store);
        let job = store.jobs.get(name).ok_or_else(|| Status::not_found("ImportJob", name))?;
        Ok(job.show(self.now()))
    }

    pub(super) fn list_jobs(&self, ring: &str) -> Result<Value, Status> {
        let store = lock(&self.store);
        store.ring(ring)?;
        let of_ring = store.jobs.values().filter(|job| job.name.starts_with(&format!("{ring}/")));
        let jobs: Vec<Value> = of_ring.map(|job| job.show(self.now())).collect();
        Ok(json!({"importJobs": jobs, "totalSize": jobs.len()}))
    }

    /// Whether the material opens shows in the state of the version: here at once, at Google after a while.
    pub(super) fn import_version(&self, name: &str, request: Import) -> Result<Value, Status> {
        let wrapped = required(request.wrapped_key.or(request.rsa_aes_wrapped_key), "wrapped_key")?;
        let now = self.now();
        let mut store = lock(&self.store);
        let store = &mut *store;
        let key = store.keys.get_mut(name).ok_or_else(|| Status::not_found("CryptoKey", name))?;
        let job = store.jobs.get(&request.import_job);
        let job = job.ok_or_else(|| Status::not_found("ImportJob", &request.import_job))?;
        let state = job.state(now);
        let wrapping_key = job.key.as_ref().filter(|_| state == JobState::Active).ok_or_else(|| {
            Status::new(Code::FailedPrecondition, format!("{} has state {}.", job.name, state.word()))
        })?;
        if request.algorithm != Algorithm::Symmetric || key.algorithm != Algorithm::Symmetric {
            return Err(Status::invalid("Only AES-256 keys for ENCRYPT_DECRYPT can be imported here."));
        }
        if job.level != key.level {
            return Err(Status::invalid("The protection levels of key and import job differ."));
        }
        let material = wrapping_key.unwrap_aes_key(&wrapped).map(Material::Aes);
        let state = if material.is_some() { VersionState::Enabled } else { VersionState::ImportFailed };
        let import_job = request.import_job;
        let number = key.add(Version { state, material, created: now, destroyed_at: None, import_job });
        key.show_version(number)
    }
}
