//! The whole story, played through the real command line and the real device SDK: a device backs up its keys, is lost, and
//! a new device gets them back. Each line it prints was checked; the first that cannot be ends it with exit code 1.

mod broker;
mod error;
mod identity;
mod lively;
mod log;
mod mls;
mod new_device;
mod old_device;
mod stage;
mod story;
mod teller;

use error::Failed;
use std::env;
use std::io;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let console = match &env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => false,
        [option] if option == "--console" => true,
        _ => {
            eprintln!(
                "keyfold-demo: the only option is --console: goes on after the story, until Ctrl-C, to be looked at"
            );
            return ExitCode::FAILURE;
        }
    };
    match play_or_interrupt(console).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Interrupted) if console => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("keyfold-demo: {}", with_causes(&failed));
            ExitCode::FAILURE
        }
    }
}

/// Dropping the story kills the broker: also a signal does.
async fn play_or_interrupt(console: bool) -> Result<(), Failed> {
    tokio::select! {
        played = story::play(console) => played,
        waited = interrupt() => Err(waited.map_or_else(Failed::Signals, |()| Failed::Interrupted)),
    }
}

async fn interrupt() -> io::Result<()> {
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => return pressed,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
