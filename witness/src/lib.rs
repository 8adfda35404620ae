//! Who watches the log: the protocol between a log and its witnesses (C2SP tlog-witness), from both sides.
//!
//! A log sends each new checkpoint with a proof that it continues the last one: [`Client`]. A [`Witness`] checks the proof,
//! remembers the checkpoint on disk, and only then cosigns. It never cosigns two histories of one log, nor a shorter one.

mod client;
mod records;
mod request;
mod witness;

pub use client::{Answer, Client, InvalidAddress, Trouble};
pub use records::RecordError;
pub use request::{AddCheckpoint, MAX_REQUEST, Malformed};
pub use witness::{Refusal, Witness};
