//! `keyfold witness`: watches logs that others keep.

use super::serve::{harden, log_to_stderr, stop_on_signal};
use super::{Failure, file, output};
use crate::clock::Clock;
use crate::config::WitnessConfig;
use crate::http::{Listener, Timeouts, serve, witness_router};
use audit::Origin;
use audit::cosignature::CosignerKey;
use clap::{Args, Subcommand};
use secret::Secret;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;
use zeroize::Zeroizing;

/// Connections at the same time: logs and those who compare.
const MAX_CONNECTIONS: usize = 1_000;
const TIMEOUTS: Timeouts = Timeouts { headers: Duration::from_secs(10), shutdown: Duration::from_secs(10) };

/// Watch logs that others keep: cosign each checkpoint that continues the one before, and no other (C2SP tlog-witness).
#[derive(Debug, Args)]
pub struct Witness {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and an empty folder of what it has cosigned; print the verifier key.
    Keygen(Keygen),
    /// Run until SIGTERM or Ctrl-C.
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Keygen {
    /// The witness's name for ever: a URL without its scheme, by convention.
    #[arg(long)]
    name: String,
    /// The file of the key; it must not exist.
    #[arg(long)]
    key: PathBuf,
    /// The folder of what is cosigned; it must not exist.
    #[arg(long)]
    state: PathBuf,
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration file; docs/WITNESS.md explains it.
    #[arg(long, short)]
    config: PathBuf,
    /// Log one JSON object a line.
    #[arg(long)]
    json_logs: bool,
}

impl Witness {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Keygen(keygen) => keygen.run(),
            Action::Serve(serve) => serve.run(),
        }
    }
}

impl Keygen {
    fn run(self) -> Result<(), Failure> {
        let seed = Secret::random(32);
        let key = CosignerKey::from_seed(&Origin::new(&self.name)?, &seed)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the seed goes into the key's file, which its owner alone may read"
        )]
        let digits = Zeroizing::new(hex::encode(seed.expose()) + "\n");
        file::make_private(&self.key, digits.as_bytes())?;
        fs::create_dir(&self.state).map_err(|error| format!("`{}` cannot be made: {error}", self.state.display()))?;
        output::line(&key.cosigner().to_string())
    }
}

impl Serve {
    fn run(self) -> Result<(), Failure> {
        log_to_stderr(self.json_logs);
        harden();
        let config = WitnessConfig::read(&self.config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(watch(config))
    }
}

async fn watch(config: WitnessConfig) -> Result<(), Failure> {
    let key = config.key()?;
    let vkey = key.cosigner().to_string();
    let witness = ::witness::Witness::open(key, &config.state_folder(), config.verifiers()?)?;
    let socket = TcpListener::bind(config.listen).await?;
    let listener =
        Listener { socket, tls: Arc::new(config.tls()?), max_connections: MAX_CONNECTIONS, timeouts: TIMEOUTS };
    let stop = CancellationToken::new();
    stop_on_signal(&stop)?;
    info!(address = %config.listen, vkey, logs = config.logs.len(), "watching");
    Ok(serve(listener, witness_router(Arc::new(witness), Arc::new(Clock::starting_at(0))), stop).await?)
}
