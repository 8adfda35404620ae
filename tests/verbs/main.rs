//! Each verb against a real broker, with good and with bad input.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../harness/mod.rs"]
mod harness;

mod admin;
mod altered;
mod altered_policies;
mod approvals;
mod aws_kms;
mod ceremony;
mod command_line;
mod console;
mod destroy;
mod drill;
mod enrol;
mod erase;
mod evidence;
mod facts;
mod findings;
mod google_kms;
mod import;
mod in_charge;
mod kek_commands;
mod keks;
mod limits;
mod log;
mod log_key;
mod login;
mod lookup;
mod openapi;
mod own_device;
mod people;
mod policies;
mod quotas;
mod reach;
mod requests;
mod restore;
mod revoke;
mod rewrap;
mod rooms;
mod sso;
mod tokens;
mod two_keks;
mod veto;
mod wrap;
