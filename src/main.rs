//! Keyfold: an enterprise BYOK key-wrapping broker. See docs/ARCHITECTURE.md for the map.

mod api;
mod attestation;
mod broker;
mod caller;
mod cli;
mod clock;
mod commit;
mod config;
mod console;
mod cosigning;
mod countries;
mod delivery;
mod digest;
mod directory;
mod disk;
mod error;
mod feeds;
mod health;
mod http;
mod inventory;
mod issuers;
mod keys;
mod kms;
mod latency;
mod limits;
mod niced;
mod nonce;
mod ops;
mod outbox;
mod pace;
mod pending;
mod quorum;
mod quota;
mod reserved;
mod roster;
mod rulebook;
mod sending;
mod sessions;
mod sso;
mod store;
mod testimony;
mod time_zone;

use clap::Parser;
use std::alloc::System;
use std::process::ExitCode;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what any library frees: tokens, enrolment codes and plaintexts of TLS pass through buffers that know nothing of
/// secrets.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    // One TLS and crypto stack for everything in this process.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("keyfold: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    cli::Cli::parse().run()
}
