//! `keyfold verify`: checks offline what was exported, delivered to a receiver, or given as evidence.

mod delivered;
mod evidence;
mod export;

use super::{Failure, output, vkey};
use audit::cosignature::{Cosignature, Cosigner};
use audit::note::Verifier;
use audit::verify::{Erasure, OpenIntent};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Check offline an export of a log, what a sink delivered to its receiver, or evidence for an auditor.
///
/// An export (`keyfold admin export`) and evidence (`keyfold audit export`) are folders. Anything else is taken for what a
/// receiver exported: files or folders of native messages, one or more a line, plain or gzip, in any order.
#[derive(Debug, Args)]
pub struct Verify {
    /// The folder of an export or of evidence, or what a receiver exported.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The verifier key that you pinned, or a file with it. Without it the key in an export or in evidence is used: that
    /// shows that it is whole, not whose it is.
    #[arg(long)]
    vkey: Option<String>,
    /// An older checkpoint of the same log: shows that nothing before it was changed since. Of an export.
    #[arg(long)]
    older: Option<PathBuf>,
    /// The verifier key of a witness that must have cosigned the checkpoint, or a file with it; may be repeated. Of an export
    /// or evidence.
    #[arg(long, value_name = "VKEY")]
    witness: Vec<String>,
    /// A checkpoint kept elsewhere: events must be complete up to the newest. Of what a receiver exported.
    #[arg(long)]
    checkpoint: Vec<PathBuf>,
    /// Accept no gap, not even of events that the sink is configured not to get. Of what a receiver exported.
    #[arg(long)]
    complete: bool,
    /// A later export of the same log: shows that the log went on from this evidence, and who was erased since.
    #[arg(long)]
    newer: Option<PathBuf>,
    /// The id of a KEK that must have no record left to open: shows that a rewrap has moved them all.
    #[arg(long)]
    no_record_under: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let pinned = self.vkey.as_deref().map(vkey::read).transpose()?;
        for path in &self.paths {
            fs::metadata(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
        }
        match &self.paths[..] {
            [folder] if export::is_one(folder) => self.export(folder, pinned.as_ref()),
            [folder] if evidence::is_one(folder) => self.evidence(folder, pinned.as_ref()),
            _ => self.delivered(pinned),
        }
    }

    fn export(&self, folder: &Path, pinned: Option<&Verifier>) -> Result<(), Failure> {
        refuse("an export", &[("checkpoint", !self.checkpoint.is_empty()), self.complete(), self.newer()])?;
        let report = export::verify(folder, (pinned, &self.cosigners()?), self.older.as_deref())?;
        self.check_moved(Some(&report.records_under))?;
        if self.json { output::json(&export::json(&report)) } else { export::print(&report) }
    }

    fn evidence(&self, folder: &Path, pinned: Option<&Verifier>) -> Result<(), Failure> {
        let moved = ("no-record-under", self.no_record_under.is_some());
        refuse("evidence", &[("checkpoint", !self.checkpoint.is_empty()), self.complete(), self.older(), moved])?;
        let found = evidence::verify(folder, (pinned, &self.cosigners()?), self.newer.as_deref())?;
        if self.json { output::json(&found.json()) } else { found.print() }
    }

    fn delivered(&self, pinned: Option<Verifier>) -> Result<(), Failure> {
        refuse("what a receiver exported", &[self.older(), self.newer(), ("witness", !self.witness.is_empty())])?;
        let pinned = pinned.ok_or("`--vkey` is due: nothing in what a receiver exported says whose it is")?;
        let report = delivered::verify(&self.paths, &self.checkpoint, pinned, self.complete)?;
        self.check_moved(report.whole.as_ref().map(|whole| &whole.records_under))?;
        if self.json { output::json(&delivered::json(&report)) } else { delivered::print(&report) }
    }

    fn cosigners(&self) -> Result<Vec<Cosigner>, Failure> {
        self.witness.iter().map(|pinned| vkey::read_cosigner(pinned)).collect()
    }

    fn older(&self) -> (&'static str, bool) {
        ("older", self.older.is_some())
    }

    fn newer(&self) -> (&'static str, bool) {
        ("newer", self.newer.is_some())
    }

    fn complete(&self) -> (&'static str, bool) {
        ("complete", self.complete)
    }

    /// A KEK that the log has never heard of proves nothing, and neither does a log with gaps.
    fn check_moved(&self, records_under: Option<&BTreeMap<String, u64>>) -> Result<(), Failure> {
        let Some(kek) = &self.no_record_under else { return Ok(()) };
        let records_under = records_under.ok_or("events are withheld: nobody can say what is under a KEK")?;
        match records_under.get(kek) {
            Some(0) => Ok(()),
            Some(left) => Err(format!("{left} records are still under KEK {kek}").into()),
            None => Err(format!("no record was ever under KEK {kek}").into()),
        }
    }
}

/// Options that say nothing about what is verified would be believed to have been checked.
fn refuse(what: &str, options: &[(&str, bool)]) -> Result<(), Failure> {
    match options.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(format!("`--{name}` is not for {what}").into()),
        None => Ok(()),
    }
}

fn print_facts(records_under: &BTreeMap<String, u64>, open: &[OpenIntent]) -> Result<(), Failure> {
    for (kek, records) in records_under {
        output::line(&format!("{records} records under KEK {kek}"))?;
    }
    for open in open {
        output::line(&format!("note: the intent at index {} has no outcome yet", open.index))?;
    }
    Ok(())
}

fn print_cosignatures(cosignatures: &[Cosignature]) -> Result<(), Failure> {
    for Cosignature { cosigner, at, .. } in cosignatures {
        output::line(&format!("cosigned by {} at {at} (Unix seconds)", cosigner.name()))?;
    }
    Ok(())
}

fn witnesses(cosignatures: &[Cosignature]) -> Value {
    cosignatures.iter().map(|by| by.cosigner.name().as_str()).collect()
}

fn print_erasures(erasures: &[Erasure]) -> Result<(), Failure> {
    for Erasure { reference, events, .. } in erasures {
        output::line(&format!("erasure {reference}: {} events can be disclosed by nobody any more", events.len()))?;
    }
    Ok(())
}

fn erasures(erasures: &[Erasure]) -> Value {
    let shown = |Erasure { reference, index, events }: &Erasure| json!({"erasure": reference, "index": index, "events": events});
    erasures.iter().map(shown).collect()
}

fn indices(open: &[OpenIntent]) -> Value {
    open.iter().map(|open| open.index).collect()
}
