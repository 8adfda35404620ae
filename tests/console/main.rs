//! What people see, in a real browser: how every page looks, and what they do there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

mod approvals;
mod attacks;
mod gallery;
mod pages;
mod policies;
mod sample;
mod story;
mod veto;
mod visitor;
