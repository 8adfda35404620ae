//! Evidence for an auditor: each file is what the manifest says, and each event is proven.

use super::files::Files;
use super::history::History;
use super::message::Shown;
use super::proofs::Proofs;
use super::{Erasure, Failure, Fault, Report, cosigned};
use crate::cosignature::{Cosignature, Cosigner};
use crate::event::{Event, Field};
use crate::evidence::{CHECKPOINT, EVENTS, FORMAT, MANIFEST, Manifest, POLICIES, Policies, SCHEMA, VKEY};
use crate::leaf::Opened;
use crate::line::line as written;
use crate::note::{self, Checkpoint, Verifier};
use std::path::Path;

/// Evidence in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceReport {
    /// What the evidence says of itself.
    pub manifest: Manifest,
    /// The signed head that every proof leads to.
    pub checkpoint: Checkpoint,
    /// Whether the verifier brought the key; `false` means that the evidence vouches for itself only.
    pub pinned: bool,
    /// What the witnesses that the verifier brought along have signed.
    pub cosignatures: Vec<Cosignature>,
    /// Events that were decided under other policies than the enclosed.
    pub other_policies: u64,
    /// Indices of the events of which something is disclosed, in order.
    pub disclosing: Vec<u64>,
}

impl EvidenceReport {
    /// The persons who were erased after the evidence was made, with those of its events that still disclose something
    /// about them; `newer` is the report of a later export of the same log.
    #[must_use]
    pub fn erased_since(&self, newer: &Report) -> Vec<Erasure> {
        let still = |erasure: &Erasure| Erasure {
            events: erasure
                .events
                .iter()
                .filter(|index| self.disclosing.binary_search(index).is_ok())
                .copied()
                .collect(),
            ..erasure.clone()
        };
        newer.erasures.iter().map(still).filter(|erasure| !erasure.events.is_empty()).collect()
    }
}

/// Verifies the evidence in `folder`. Without a pinned `vkey` it is only checked against itself; all of `cosigners` must have
/// cosigned its checkpoint.
///
/// # Errors
/// [`Failure`] names the first bad event.
pub fn verify_evidence(folder: &Path, vkey: Option<&str>, cosigners: &[Cosigner]) -> Result<EvidenceReport, Failure> {
    let files = Files::new(folder);
    let manifest: Manifest = serde_json::from_str(&files.text(MANIFEST)?).map_err(|_| Fault::Manifest)?;
    check_files(&files, &manifest)?;
    let pinned = vkey.is_some();
    let vkey = vkey.map_or_else(|| files.text(VKEY), |vkey| Ok(vkey.to_owned()))?;
    let verifier = Verifier::parse(&vkey).map_err(Fault::Checkpoint)?;
    let note = files.text(CHECKPOINT)?;
    let checkpoint = note::open(&note, std::slice::from_ref(&verifier)).map_err(Fault::Checkpoint)?;
    let cosignatures = cosigned(&note, cosigners)?;
    if manifest.origin != checkpoint.origin.as_str() || manifest.to > checkpoint.size || manifest.from > manifest.to {
        return Err(Fault::Manifest.into());
    }
    let mut walk = Walk::new(&verifier, &checkpoint, &manifest);
    walk.lines(&files)?;
    walk.check_counts()?;
    let Walk { other_policies, disclosing, .. } = walk;
    Ok(EvidenceReport { manifest, checkpoint, pinned, cosignatures, other_policies, disclosing })
}

/// Each file is the one that the manifest names, and the policies have the digest that it gives.
fn check_files(files: &Files<'_>, manifest: &Manifest) -> Result<(), Failure> {
    let expected = [EVENTS, CHECKPOINT, VKEY, POLICIES, SCHEMA];
    if manifest.format != FORMAT || !manifest.files.keys().map(String::as_str).eq(sorted(expected)) {
        return Err(Fault::Manifest.into());
    }
    for (name, hash) in &manifest.files {
        if hex::encode(files.sha256(name)?) != *hash {
            return Err(Fault::OtherFile { name: name.clone() }.into());
        }
    }
    let policies = Policies { schema: files.text(SCHEMA)?, text: files.text(POLICIES)? };
    if hex::encode(policies.digest()) == manifest.policy_digest { Ok(()) } else { Err(Fault::Manifest.into()) }
}

fn sorted<const N: usize>(mut names: [&str; N]) -> [&str; N] {
    names.sort_unstable();
    names
}

/// One pass over the events.
struct Walk<'a> {
    checkpoint: &'a Checkpoint,
    manifest: &'a Manifest,
    proofs: Proofs<'a>,
    history: History,
    disclosures: u64,
    erased: u64,
    other_policies: u64,
    disclosing: Vec<u64>,
}

impl<'a> Walk<'a> {
    fn new(verifier: &'a Verifier, checkpoint: &'a Checkpoint, manifest: &'a Manifest) -> Self {
        Self {
            proofs: Proofs::of(verifier),
            history: History::of(checkpoint.origin.clone()),
            checkpoint,
            manifest,
            disclosures: 0,
            erased: 0,
            other_policies: 0,
            disclosing: Vec::new(),
        }
    }

    /// The announcement of the event key where the range does not begin with it, and then the range, without gaps.
    fn lines(&mut self, files: &Files<'_>) -> Result<(), Failure> {
        let mut lines = files.lines(EVENTS)?;
        let announcement = (self.manifest.from > 0).then_some(0);
        for index in announcement.into_iter().chain(self.manifest.from..self.manifest.to) {
            let line = lines.next()?;
            let line = line.strip_suffix(b"\n").ok_or(Fault::Missing.at(index))?;
            self.event(index, line).map_err(|what| what.at(index))?;
        }
        if lines.next()?.is_empty() { Ok(()) } else { Err(Fault::Surplus.at(self.manifest.to)) }
    }

    fn event(&mut self, index: u64, line: &[u8]) -> Result<(), Fault> {
        let shown: Shown = serde_json::from_slice(line).map_err(|_| Fault::Line)?;
        let proof = shown.proof.as_deref().ok_or(Fault::Unproven)?;
        let (receipt, head) = self.proofs.check(index, &shown.leaf, proof)?;
        if head != *self.checkpoint {
            return Err(Fault::Contradiction);
        }
        let opened = self.history.open_proven(index, &shown.leaf, &shown.disclosures)?;
        let opened = Opened { erased: shown.erased, ..opened };
        if line != written(index, &opened, &shown.leaf, &shown.disclosures, Some(&receipt)) {
            return Err(Fault::Line);
        }
        self.history.observe_alone(index, &opened)?;
        self.check_selection(index, &opened.event)?;
        self.count(index, &opened, &shown);
        Ok(())
    }

    /// Nothing is disclosed that the manifest does not name.
    fn check_selection(&self, index: u64, event: &Event) -> Result<(), Fault> {
        let Manifest { from, fields, events, .. } = self.manifest;
        let selected = index >= *from && events.as_ref().is_none_or(|kinds| kinds.contains(&event.kind));
        let may_be_seen = |field: &Field| selected && fields.iter().any(|name| name == field.as_str());
        let shown = Field::ALL.into_iter().filter(|field| event.text(*field).is_some());
        if shown.into_iter().all(|field| may_be_seen(&field)) { Ok(()) } else { Err(Fault::Unselected) }
    }

    fn count(&mut self, index: u64, opened: &Opened, shown: &Shown) {
        self.disclosures += shown.disclosures.len() as u64;
        self.erased += u64::from(opened.erased.is_some());
        let decided = opened.event.policy_digest.map(hex::encode);
        self.other_policies += u64::from(decided.is_some_and(|digest| digest != self.manifest.policy_digest));
        if !shown.disclosures.is_empty() {
            self.disclosing.push(index);
        }
    }

    fn check_counts(&self) -> Result<(), Fault> {
        let Manifest { disclosures, erased, .. } = self.manifest;
        if (*disclosures, *erased) == (self.disclosures, self.erased) { Ok(()) } else { Err(Fault::Manifest) }
    }
}
