//! The room as a whole, against outside oracles: `tlog_tiles`, `signed_note`, and the Python libraries `sd-jwt` and
//! `aics-tlog` (see `tests/oracles`).

mod fixture;
mod leaf;
mod note;
mod sink;
mod tree;
mod verify;
