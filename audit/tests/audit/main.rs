//! The room as a whole, against outside oracles: `tlog_tiles`, `signed_note`, and the Python libraries `sd-jwt` and
//! `aics-tlog` (see `tests/oracles`).

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod cosignature;
mod delivered;
mod evidence;
mod finding;
mod fixture;
mod hostile;
mod leaf;
mod note;
mod tree;
mod verify;
