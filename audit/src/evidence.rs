//! Evidence for an auditor: the events of a range with chosen disclosures, each with its proof, as a folder of files.

mod writer;

pub use writer::{EvidenceError, EvidenceWriter};

use crate::digest::sha256;
use crate::event::{Field, Kind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use uuid::Uuid;

pub(crate) const EVENTS: &str = "events.ndjson";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const VKEY: &str = "vkey";
pub(crate) const POLICIES: &str = "policies.cedar";
pub(crate) const SCHEMA: &str = "schema.cedarschema";
pub(crate) const MANIFEST: &str = "manifest.json";

/// The version of the format, as the manifest names it.
pub(crate) const FORMAT: &str = "keyfold-evidence/1";

/// What an auditor is to see.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The `cor` of the `audit.exported` that tells of it.
    pub export: Uuid,
    /// Who it is for.
    pub auditor: String,
    /// Unix time in seconds.
    pub made_at: u64,
    /// The events, all of which are there.
    pub range: Range<u64>,
    /// What may be disclosed of them.
    pub fields: BTreeSet<Field>,
    /// The only kinds of which anything is disclosed; `None` for all.
    pub kinds: Option<BTreeSet<Kind>>,
}

/// The policies in force when evidence is made: Cedar's schema and policies.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The schema.
    pub schema: String,
    /// The policies.
    pub text: String,
}

impl Policies {
    /// What events have as `cfg`: SHA-256 over schema and policies, each after its length in bytes (64 bits, big endian).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let part = |text: &str| [&(text.len() as u64).to_be_bytes(), text.as_bytes()].concat();
        sha256(&[part(&self.schema), part(&self.text)].concat())
    }
}

/// What evidence says of itself. Nothing signs it; verification holds the files to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `keyfold-evidence/1`.
    pub format: String,
    /// The log.
    pub origin: String,
    /// The `cor` of the `audit.exported` that tells of it.
    pub export: Uuid,
    /// Who it is for.
    #[serde(rename = "for")]
    pub auditor: String,
    /// Unix time in seconds.
    pub made_at: u64,
    /// Index of the first event.
    pub from: u64,
    /// Index after the last event.
    pub to: u64,
    /// The fields of which something may be disclosed.
    pub fields: Vec<String>,
    /// The only kinds of events of which anything is disclosed; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Kind>>,
    /// Disclosures shown.
    pub disclosures: u64,
    /// Events marked as erased.
    pub erased: u64,
    /// [`Policies::digest`], hexadecimal.
    pub policy_digest: String,
    /// SHA-256 of each other file, hexadecimal.
    pub files: BTreeMap<String, String>,
}
