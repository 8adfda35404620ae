//! A log's verifier key (C2SP signed-note), as the command line takes it.

use super::Failure;
use audit::note::Verifier;
use std::fs;

/// The key itself, or the one in the file of that name.
pub(super) fn read(pinned: &str) -> Result<Verifier, Failure> {
    if let Ok(verifier) = Verifier::parse(pinned) {
        return Ok(verifier);
    }
    let text = fs::read_to_string(pinned).map_err(|_| format!("`{pinned}` is neither a verifier key nor a file"))?;
    Verifier::parse(&text).map_err(|error| format!("`{pinned}`: {error}").into())
}
