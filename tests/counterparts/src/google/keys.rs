//! What is kept of keys, versions and import jobs, and how the API shows it.

use super::material::{Material, RsaKey};
use super::status::Status;
use super::words::{Algorithm, ImportMethod, JobState, ProtectionLevel, Purpose, VersionState};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Debug)]
pub(super) struct CryptoKey {
    pub(super) name: String,
    pub(super) purpose: Purpose,
    pub(super) level: ProtectionLevel,
    pub(super) algorithm: Algorithm,
    pub(super) import_only: bool,
    /// Between the order to destroy a version and its end, in seconds.
    pub(super) destroy_after: i64,
    pub(super) primary: Option<u32>,
    pub(super) versions: BTreeMap<u32, Version>,
}

#[derive(Debug)]
pub(super) struct Version {
    pub(super) state: VersionState,
    pub(super) material: Option<Material>,
    pub(super) created: i64,
    pub(super) destroyed_at: Option<i64>,
    pub(super) import_job: String,
}

#[derive(Debug)]
pub(super) struct ImportJob {
    pub(super) name: String,
    pub(super) level: ProtectionLevel,
    pub(super) method: ImportMethod,
    pub(super) created: i64,
    /// `None` while it is generated.
    pub(super) key: Option<RsaKey>,
}

impl CryptoKey {
    pub(super) fn version_name(&self, number: u32) -> String {
        format!("{}/cryptoKeyVersions/{number}", self.name)
    }

    pub(super) fn version(&self, number: u32) -> Result<&Version, Status> {
        self.versions.get(&number).ok_or_else(|| Status::not_found("CryptoKeyVersion", &self.version_name(number)))
    }

    /// The material of a version that may be used.
    pub(super) fn enabled(&self, number: u32) -> Result<&Material, Status> {
        let version = self.version(number)?;
        let material = version.material.as_ref().filter(|_| version.state == VersionState::Enabled);
        material.ok_or_else(|| Status::not_enabled(&self.version_name(number), version.state.word()))
    }

    /// Takes in another version; its number.
    pub(super) fn add(&mut self, version: Version) -> u32 {
        let number = self.versions.last_key_value().map_or(1, |(last, _)| last + 1);
        self.versions.insert(number, version);
        number
    }

    /// What time has done to the versions.
    pub(super) fn pass_time(&mut self, now: i64) {
        for version in self.versions.values_mut() {
            if version.state == VersionState::DestroyScheduled && version.destroyed_at.is_some_and(|at| at <= now) {
                version.state = VersionState::Destroyed;
                version.material = None;
            }
        }
    }

    pub(super) fn show(&self) -> Value {
        let template = json!({"protectionLevel": self.level, "algorithm": self.algorithm});
        let primary = self.primary.and_then(|number| self.show_version(number).ok());
        json!({
            "name": self.name,
            "purpose": self.purpose,
            "primary": primary,
            "versionTemplate": template,
            "importOnly": self.import_only,
            "destroyScheduledDuration": format!("{}s", self.destroy_after),
        })
    }

    pub(super) fn show_version(&self, number: u32) -> Result<Value, Status> {
        let version = self.version(number)?;
        Ok(json!({
            "name": self.version_name(number),
            "state": version.state,
            "protectionLevel": self.level,
            "algorithm": self.algorithm,
            "createTime": timestamp(version.created),
            "destroyTime": version.destroyed_at.map(timestamp),
            "importJob": version.import_job,
        }))
    }
}

impl Version {
    pub(super) fn generate(algorithm: Algorithm, now: i64) -> Self {
        Self {
            state: VersionState::Enabled,
            material: Some(Material::generate(algorithm)),
            created: now,
            destroyed_at: None,
            import_job: String::new(),
        }
    }
}

impl ImportJob {
    /// Three days, whatever was imported meanwhile.
    const LIFE_SECONDS: i64 = 3 * 24 * 3600;

    /// Moves its making back by a whole life.
    pub(super) fn age(&mut self) {
        self.created -= Self::LIFE_SECONDS;
    }

    pub(super) fn state(&self, now: i64) -> JobState {
        if self.key.is_none() {
            JobState::PendingGeneration
        } else if now < self.created + Self::LIFE_SECONDS {
            JobState::Active
        } else {
            JobState::Expired
        }
    }

    pub(super) fn show(&self, now: i64) -> Value {
        let state = self.state(now);
        // The key is shown for as long as it may be used.
        let key = self.key.as_ref().filter(|_| state == JobState::Active);
        json!({
            "name": self.name,
            "importMethod": self.method,
            "protectionLevel": self.level,
            "createTime": timestamp(self.created),
            "expireTime": timestamp(self.created + Self::LIFE_SECONDS),
            "state": state,
            "publicKey": key.map(|key| json!({"pem": key.public_pem})),
        })
    }
}

fn timestamp(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).expect("the clock is between the years 1 and 9999");
    at.format(&Rfc3339).expect("a timestamp can be formatted")
}
