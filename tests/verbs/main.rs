//! Each verb against a real broker, with good and with bad input.

#[path = "../harness/mod.rs"]
mod harness;

mod restore;
