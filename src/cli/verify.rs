//! `keyfold verify`: checks an exported log offline.

use super::{Failure, output, vkey};
use audit::cosignature::Cosignature;
use audit::verify::{Erasure, Options, Report, verify_dir};
use clap::Args;
use std::fs;
use std::path::PathBuf;

/// Check an exported log offline: signatures, tree, disclosures, and that every release was intended.
///
/// Without `--vkey` the key in the export itself is used: that shows that the log is whole, not whose it is.
#[derive(Debug, Args)]
pub struct Verify {
    /// The folder of the export.
    dir: PathBuf,
    /// The verifier key that you pinned, or a file with it.
    #[arg(long)]
    vkey: Option<String>,
    /// An older checkpoint of the same log: shows that nothing before it was changed since.
    #[arg(long)]
    older: Option<PathBuf>,
    /// The verifier key of a witness that must have cosigned the checkpoint, or a file with it; may be repeated.
    #[arg(long, value_name = "VKEY")]
    witness: Vec<String>,
    /// The id of a KEK that must have no record left to open: shows that a rewrap has moved them all.
    #[arg(long)]
    no_record_under: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let vkey = self.vkey.map(|pinned| vkey::read(&pinned)).transpose()?.map(|verifier| verifier.to_string());
        let older = self.older.map(fs::read_to_string).transpose()?;
        let read = |pinned: &String| vkey::read_cosigner(pinned);
        let cosigners = self.witness.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let options = Options { vkey: vkey.as_deref(), older: older.as_deref(), cosigners: &cosigners };
        let report = verify_dir(&self.dir, &options)?;
        let checkpoint = &report.checkpoint;
        if let Some(kek) = &self.no_record_under {
            check_moved(&report, kek)?;
        }
        if self.json {
            return output::json(&serde_json::json!({
                "origin": checkpoint.origin.as_str(),
                "size": checkpoint.size,
                "root": hex::encode(checkpoint.root),
                "pinned": report.pinned,
                "witnesses": report.cosignatures.iter().map(|by| by.cosigner.name().as_str()).collect::<Vec<_>>(),
                "released": report.released,
                "disclosures": report.disclosures,
                "records_under": report.records_under,
                "erasures": report.erasures.iter().map(erasure).collect::<Vec<_>>(),
                "open_intents": report.open.iter().map(|open| open.index).collect::<Vec<_>>(),
            }));
        }
        let pinned =
            if report.pinned { "the pinned key" } else { "the key in the export itself, which proves no origin" };
        output::line(&format!(
            "ok: {} events of {}, {} released, each after its intent, {} disclosures; signed by {pinned}",
            checkpoint.size, checkpoint.origin, report.released, report.disclosures
        ))?;
        for Cosignature { cosigner, at, .. } in &report.cosignatures {
            output::line(&format!("cosigned by {} at {at} (Unix seconds)", cosigner.name()))?;
        }
        for (kek, records) in &report.records_under {
            output::line(&format!("{records} records under KEK {kek}"))?;
        }
        for Erasure { reference, events, .. } in &report.erasures {
            output::line(&format!("erasure {reference}: {} events can be disclosed by nobody any more", events.len()))?;
        }
        for open in &report.open {
            output::line(&format!("note: the intent at index {} has no outcome yet", open.index))?;
        }
        Ok(())
    }
}

fn erasure(Erasure { reference, index, events }: &Erasure) -> serde_json::Value {
    serde_json::json!({"erasure": reference, "index": index, "events": events})
}

/// A KEK that the log has never heard of proves nothing.
fn check_moved(report: &Report, kek: &str) -> Result<(), Failure> {
    match report.records_under.get(kek) {
        Some(0) => Ok(()),
        Some(left) => Err(format!("{left} records are still under KEK {kek}").into()),
        None => Err(format!("no record was ever under KEK {kek}").into()),
    }
}
