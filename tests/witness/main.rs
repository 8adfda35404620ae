//! Others watch the log: real brokers, real witnesses, and what each does when the other's history is not its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

mod contradiction;
mod cosigning;
mod outside;
mod release;
mod watch;
