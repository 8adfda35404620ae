//! An export of a whole log.

use super::{erasures, indices, print_cosignatures, print_erasures, print_facts, witnesses};
use crate::cli::{Failure, output};
use audit::cosignature::Cosigner;
use audit::note::Verifier;
use audit::verify::{Options, Report, verify_dir};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Whether the folder is an export, and a damaged one too.
pub(super) fn is_one(folder: &Path) -> bool {
    folder.join("log").is_dir()
}

pub(super) fn verify(
    folder: &Path,
    (pinned, cosigners): (Option<&Verifier>, &[Cosigner]),
    older: Option<&Path>,
) -> Result<Report, Failure> {
    let vkey = pinned.map(Verifier::to_string);
    let older = older.map(fs::read_to_string).transpose()?;
    Ok(verify_dir(folder, &Options { vkey: vkey.as_deref(), older: older.as_deref(), cosigners })?)
}

pub(super) fn json(report: &Report) -> Value {
    let checkpoint = &report.checkpoint;
    json!({
        "origin": checkpoint.origin.as_str(),
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root),
        "pinned": report.pinned,
        "witnesses": witnesses(&report.cosignatures),
        "released": report.released,
        "disclosures": report.disclosures,
        "records_under": report.records_under,
        "erasures": erasures(&report.erasures),
        "open_intents": indices(&report.open),
    })
}

pub(super) fn print(report: &Report) -> Result<(), Failure> {
    let checkpoint = &report.checkpoint;
    let pinned = if report.pinned { "the pinned key" } else { "the key in the export itself, which proves no origin" };
    output::line(&format!(
        "ok: {} events of {}, {} released, each after its intent, {} disclosures; signed by {pinned}",
        checkpoint.size, checkpoint.origin, report.released, report.disclosures
    ))?;
    print_cosignatures(&report.cosignatures)?;
    print_erasures(&report.erasures)?;
    print_facts(&report.records_under, &report.open)
}
