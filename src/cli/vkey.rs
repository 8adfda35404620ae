//! Verifier keys (C2SP signed-note), as the command line takes them.

use super::Failure;
use audit::cosignature::Cosigner;
use audit::note::{NoteError, Verifier};
use std::fs;

/// A log's key itself, or the one in the file of that name.
pub(super) fn read(pinned: &str) -> Result<Verifier, Failure> {
    read_by(pinned, Verifier::parse)
}

/// A witness's key itself, or the one in the file of that name.
pub(super) fn read_cosigner(pinned: &str) -> Result<Cosigner, Failure> {
    read_by(pinned, Cosigner::parse)
}

fn read_by<K>(pinned: &str, parse: fn(&str) -> Result<K, NoteError>) -> Result<K, Failure> {
    if let Ok(key) = parse(pinned) {
        return Ok(key);
    }
    let text = fs::read_to_string(pinned).map_err(|_| format!("`{pinned}` is neither a verifier key nor a file"))?;
    parse(&text).map_err(|error| format!("`{pinned}`: {error}").into())
}
