//! The command line: one file per command.

mod admin;
mod audit;
mod bench;
mod ceremony;
mod device;
mod file;
mod init;
mod keystore;
mod output;
mod serve;
mod verify;
mod vkey;
mod witness;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Keyfold: wraps device keys under keys that the enterprise holds, and gives them back only after a recorded,
/// policy-checked restore.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a folder with a configuration that runs at once: certificate, keystore, token.
    Init(init::Init),
    /// Run the broker.
    Serve(serve::Serve),
    /// Administer a running broker.
    Admin(admin::Admin),
    /// Be a device: enrol, back up, restore.
    Device(device::Device),
    /// Manage the software provider's keystore.
    Keystore(keystore::Keystore),
    /// Make and wrap a customer's own KEK, on a machine without network.
    Ceremony(ceremony::Ceremony),
    /// Make evidence for an auditor.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Check offline what was exported, delivered or given as evidence.
    Verify(verify::Verify),
    /// Watch logs of others: a witness, for another machine under another's authority.
    Witness(witness::Witness),
    /// Measure how many durable leaves a second this machine gives.
    Bench(bench::Bench),
    /// Load a PKCS#11 module for the broker that has started this process.
    #[command(hide = true)]
    Pkcs11Worker,
    /// Print the OpenAPI 3.1 document of the HTTP API.
    Openapi,
}

/// A command failed: what the person reads, with its causes.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Cli {
    /// Runs the command; failures go to standard error with their causes.
    pub fn run(self) -> ExitCode {
        match self.command.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("keyfold: {}", with_causes(&*failure));
                ExitCode::FAILURE
            }
        }
    }
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Init(init) => init.run(),
            Self::Serve(serve) => serve.run(),
            Self::Admin(admin) => admin.run(),
            Self::Device(device) => device.run(),
            Self::Keystore(keystore) => keystore.run(),
            Self::Ceremony(ceremony) => ceremony.run(),
            Self::Audit(audit) => audit.run(),
            Self::Verify(verify) => verify.run(),
            Self::Witness(witness) => witness.run(),
            Self::Bench(bench) => bench.run(),
            Self::Pkcs11Worker => Ok(providers::pkcs11::worker::run()?),
            Self::Openapi => output::json(&crate::http::openapi()),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A runtime for a client's few requests.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}
