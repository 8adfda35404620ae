//! What the broker does when the machine, the disk, the clock, a provider or a client misbehaves.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

#[path = "../harness/mod.rs"]
mod harness;

mod clock;
mod crash;
mod database;
mod delivery;
mod disk;
mod findings;
mod notices;
mod pkcs11;
mod providers;
mod proxy;
mod rewrap;
mod rooms;
mod root;
mod sinks;
mod slow;
mod software;
mod worker;
