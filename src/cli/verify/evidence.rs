//! Evidence for an auditor.

use super::{erasures, print_cosignatures, witnesses};
use crate::cli::{Failure, output};
use audit::cosignature::Cosigner;
use audit::note::Verifier;
use audit::verify::{Erasure, EvidenceReport, Options, verify_dir, verify_evidence};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Evidence in which nothing is wrong, and who was erased since.
pub(super) struct Found {
    report: EvidenceReport,
    erased_since: Option<Vec<Erasure>>,
}

pub(super) fn is_one(folder: &Path) -> bool {
    folder.join("manifest.json").is_file()
}

pub(super) fn verify(
    folder: &Path,
    (pinned, cosigners): (Option<&Verifier>, &[Cosigner]),
    newer: Option<&Path>,
) -> Result<Found, Failure> {
    let vkey = pinned.map(Verifier::to_string);
    let report = verify_evidence(folder, vkey.as_deref(), cosigners)?;
    let Some(newer) = newer else { return Ok(Found { report, erased_since: None }) };
    // The evidence's own checkpoint must lie in the history of the later log.
    let older = fs::read_to_string(folder.join("checkpoint"))?;
    let newer = verify_dir(newer, &Options { vkey: vkey.as_deref(), older: Some(&older), cosigners: &[] })?;
    let erased_since = Some(report.erased_since(&newer));
    Ok(Found { report, erased_since })
}

impl Found {
    pub(super) fn json(&self) -> Value {
        let Self { report, erased_since } = self;
        json!({
            "manifest": report.manifest,
            "size": report.checkpoint.size,
            "root": hex::encode(report.checkpoint.root),
            "pinned": report.pinned,
            "witnesses": witnesses(&report.cosignatures),
            "other_policies": report.other_policies,
            "erased_since": erased_since.as_deref().map(erasures),
        })
    }

    pub(super) fn print(&self) -> Result<(), Failure> {
        let EvidenceReport { manifest, checkpoint, pinned, other_policies, .. } = &self.report;
        let (from, to, shown) = (manifest.from, manifest.to, manifest.disclosures);
        let key = if *pinned { "the pinned key" } else { "the key in the evidence itself, which proves no origin" };
        output::line(&format!(
            "ok: for {}: all events of {} from {from} to {}, {shown} disclosures of {}; signed by {key}",
            manifest.auditor,
            checkpoint.origin,
            to.saturating_sub(1),
            manifest.fields.join(", ")
        ))?;
        print_cosignatures(&self.report.cosignatures)?;
        if manifest.erased > 0 {
            output::line(&format!("{} events had been erased when it was made", manifest.erased))?;
        }
        if *other_policies > 0 {
            output::line(&format!(
                "note: {other_policies} events were decided under other policies than the enclosed"
            ))?;
        }
        self.erased_since.iter().flatten().try_for_each(|erasure| {
            let indices: Vec<_> = erasure.events.iter().map(u64::to_string).collect();
            let (reference, indices) = (erasure.reference, indices.join(" "));
            output::line(&format!("erased since ({reference}): delete what is disclosed of the events {indices}"))
        })
    }
}
