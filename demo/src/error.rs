use crate::mls;
use protocol::enrolment::BadCode;
use protocol::names::BadName;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use thiserror::Error;

/// The story ended before its end.
#[derive(Debug, Error)]
pub(crate) enum Failed {
    /// A step of the story did not do what it tells.
    #[error("failed at \"{step}\"")]
    Step {
        /// The step, in the words of the story.
        step: &'static str,
        /// Why.
        source: Error,
    },
    /// Ctrl-C, or a signal to end.
    #[error("interrupted")]
    Interrupted,
    /// Without handlers an interrupt would leave the broker behind.
    #[error("signals cannot be waited for")]
    Signals(#[source] io::Error),
}

/// Why a step failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A file or folder of the story cannot be read or written.
    #[error("`{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `keyfold` cannot be run.
    #[error("`{}` cannot be run", program.display())]
    NoProgram {
        /// Which file was tried; `KEYFOLD_BIN` names another.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A command failed that had to succeed.
    #[error("`keyfold {command}` ended with {status}: {said}")]
    Command {
        /// Its words.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its standard error.
        said: String,
    },
    /// A command succeeded, or failed for another reason, where it had to be refused.
    #[error("`keyfold {command}` ended with {status}, and not because of \"{reason}\": {said}")]
    NotRefused {
        /// Its words.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What its standard error had to say.
        reason: &'static str,
        /// Its standard error.
        said: String,
    },
    /// The answer of a command is not what it should be.
    #[error("`keyfold {0}` printed something else than it should")]
    Printed(&'static str),
    /// There is no free port on loopback, or the broker's process cannot be watched.
    #[error("the system refused")]
    System(#[from] io::Error),
    /// The broker ended, or did not end well when it was told to.
    #[error("the broker ended with {status}; see `{}`", log.display())]
    BrokerEnded {
        /// How.
        status: ExitStatus,
        /// What it logged.
        log: PathBuf,
    },
    /// The broker did not start to listen, or to end, in time.
    #[error("the broker took more than {} s; see `{}`", limit.as_secs(), log.display())]
    BrokerLate {
        /// How long it had.
        limit: Duration,
        /// What it logged.
        log: PathBuf,
    },
    /// The device SDK failed.
    #[error("the device SDK failed")]
    Device(#[from] device::Error),
    /// The SDK's state file cannot be made.
    #[error("the device's state cannot be kept")]
    State(#[from] device::StateError),
    /// A name of the story is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// What the operator was given is no enrolment code.
    #[error(transparent)]
    Code(#[from] BadCode),
    /// The messenger failed.
    #[error("the MLS client failed")]
    Mls(#[from] mls::Error),
    /// The identity key cannot be made or used, or its signature is not that of the old key.
    #[error("the identity key is not what it was")]
    Identity(#[from] aws_lc_rs::error::Unspecified),
    /// What was restored is no PKCS#8 key.
    #[error("the restored identity key is no key")]
    IdentityFormat(#[from] aws_lc_rs::error::KeyRejected),
    /// Something else was restored than was asked for.
    #[error("another set of keys was restored than asked for")]
    OtherKeys,
    /// The restored member reads another message than was sent.
    #[error("the MLS message does not say what was sent")]
    OtherMessage,
    /// The broker answered a restore that is over.
    #[error("the restore gave keys again after it was acknowledged")]
    ReleasedAgain,
    /// A line of `events.ndjson` is no JSON.
    #[error("`events.ndjson` is not one JSON object a line")]
    EventLine(#[from] serde_json::Error),
    /// The log does not have the next event of the story.
    #[error("the log has no `{kind}` with outcome `{outcome}` where the story has it")]
    NotLogged {
        /// The kind of event.
        kind: &'static str,
        /// Its outcome.
        outcome: &'static str,
    },
    /// The log has another number of releases than the story.
    #[error("the log has {0} releases, and the story one")]
    Releases(usize),
}
