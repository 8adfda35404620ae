//! What a sink delivered, as its receiver exports it.

use super::{erasures, indices, print_erasures, print_facts};
use crate::cli::{Failure, output};
use audit::note::Verifier;
use audit::verify::{Deliveries, DeliveryReport};
use flate2::bufread::MultiGzDecoder;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// How a gzip file begins (RFC 1952, section 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

pub(super) fn verify(
    paths: &[PathBuf],
    checkpoints: &[PathBuf],
    pinned: Verifier,
    complete: bool,
) -> Result<DeliveryReport, Failure> {
    let folder = TempDir::new()?;
    let mut deliveries = Deliveries::of(pinned, folder.path().to_owned());
    for path in paths {
        for file in files(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))? {
            read(&mut deliveries, &file).map_err(|error| format!("`{}`: {error}", file.display()))?;
        }
    }
    for note in checkpoints {
        deliveries.checkpoint(&fs::read_to_string(note)?)?;
    }
    Ok(deliveries.verify(complete)?)
}

/// The file itself, or all files below the folder.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        found.extend(files(&entry?.path())?);
    }
    Ok(found)
}

fn read(deliveries: &mut Deliveries, path: &Path) -> Result<(), Failure> {
    let mut file = BufReader::new(File::open(path)?);
    if file.fill_buf()?.starts_with(GZIP) {
        deliveries.read(BufReader::new(MultiGzDecoder::new(file)))?;
    } else {
        deliveries.read(file)?;
    }
    Ok(())
}

pub(super) fn json(report: &DeliveryReport) -> Value {
    let checkpoint = &report.checkpoint;
    let whole = report.whole.as_ref();
    json!({
        "origin": checkpoint.origin.as_str(),
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root),
        "events": report.events,
        "withheld": report.withheld(),
        "beyond": report.beyond,
        "repeated": report.repeated,
        "other_lines": report.other_lines,
        "disclosures": report.disclosures,
        "erasures": erasures(&report.erasures),
        "released": whole.map(|whole| whole.released),
        "records_under": whole.map(|whole| &whole.records_under),
        "open_intents": whole.map(|whole| indices(&whole.open)),
    })
}

pub(super) fn print(report: &DeliveryReport) -> Result<(), Failure> {
    let (origin, size) = (&report.checkpoint.origin, report.checkpoint.size);
    match &report.whole {
        Some(whole) => {
            let (released, shown) = (whole.released, report.disclosures);
            output::line(&format!(
                "ok: all {size} events of {origin} up to the newest checkpoint, {released} released, each after its \
                 intent, {shown} disclosures; signed by the pinned key"
            ))?;
            print_facts(&whole.records_under, &whole.open)?;
        }
        None => output::line(&format!(
            "ok: {} of {size} events of {origin}, each proven; the other {} were withheld from this sink, as the broker \
             says and nothing signs",
            report.events,
            report.withheld()
        ))?,
    }
    print_erasures(&report.erasures)?;
    for (count, what) in [
        (report.beyond, "events came after the newest checkpoint: nothing proves them yet"),
        (report.repeated, "messages came more than once"),
        (report.other_lines, "lines hold no message of this log"),
    ] {
        if count > 0 {
            output::line(&format!("note: {count} {what}"))?;
        }
    }
    Ok(())
}
