//! Keys in an HSM, through its PKCS#11 module, which runs in worker processes of its own.

mod client;
mod failure;
mod known_answer;
mod lines;
mod mechanism;
mod method;
mod process;
mod raw;
mod self_test;
mod token;
mod uri;
mod wire;
pub mod worker;
mod workers;

pub use failure::CallFailed;
pub use mechanism::Mechanism;
pub use self_test::{Outcome, Report, Verdict};
pub use uri::{TokenUri, UriError};

use crate::payload::Payload;
use crate::{
    Capabilities, Context, Error, KeyProvider, KeyRef, KeyState, Permissions, Unusable, Wrapped, why_unusable,
};
use async_trait::async_trait;
use failure::Failure;
use secret::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::{Instrument, info, warn};
use wire::{Answer, MAX_WRAPPED, Request};
use workers::{Down, Workers};

/// Where the token is and how to use it.
#[derive(Debug)]
pub struct Options {
    /// The vendor's library.
    pub module: PathBuf,
    /// Handed to C_Initialize where the vendor wants it so (NSS).
    pub library_parameters: Option<String>,
    /// Which of the module's tokens.
    pub token: TokenUri,
    /// The PIN of the token's normal user.
    pub pin: Secret,
    /// The program that calls [`worker::run`].
    pub worker: Program,
    /// What that program's environment has besides HOME, PATH, LD_LIBRARY_PATH, TMPDIR, TZ, LANG and all `.._CONF`.
    pub environment: BTreeMap<String, String>,
    /// How many worker processes; at least one. For modules that do not scale by thread.
    pub workers: usize,
    /// How many sessions, and calls at a time, each worker has at most; at least one.
    pub sessions: usize,
    /// For one call of the module. A worker that takes longer is killed and replaced.
    pub deadline: Duration,
}

/// A program and its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// What it is started with.
    pub arguments: Vec<String>,
}

/// Why a module or token is not used at all. A token that is missing, or whose PIN is refused, is no such reason.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The worker program cannot be started.
    #[error("the worker program cannot be started")]
    Worker(#[source] std::io::Error),
    /// The module cannot be loaded.
    #[error("the PKCS#11 module cannot be loaded")]
    Module(#[source] CallFailed),
    /// The module has several tokens that fit the URI.
    #[error("the module has several such tokens")]
    AmbiguousToken,
}

/// Why no key was created.
#[derive(Debug, Error)]
pub enum CreateKeyError {
    /// A key of that label is on the token already.
    #[error("the label is taken")]
    Exists,
    /// The token did not do it.
    #[error(transparent)]
    Provider(#[from] Error),
}

/// Several keys on the token have the name: nobody can say which one is meant.
#[derive(Debug, Error)]
#[error("several keys on the token have the same name")]
struct AmbiguousKey;

/// The module can do nothing that fits the key's type and attributes.
#[derive(Debug, Error)]
#[error("the module has no usable mechanism for this key")]
struct Unsuitable;

/// A worker has answered something else than was asked.
#[derive(Debug, Error)]
#[error("a PKCS#11 worker has answered something else than was asked")]
struct WrongAnswer;

/// One token, by its worker processes. Keys are found by CKA_LABEL or by a URI (RFC 7512) of `object`, `id` and `type`.
#[derive(Debug)]
pub struct Pkcs11 {
    workers: Arc<Workers>,
    hardware: bool,
    _supervisors: JoinSet<()>,
}

impl Pkcs11 {
    /// Starts the workers and waits until one has opened the token, or has failed to. A token that is missing, or whose
    /// PIN is refused, is no error: calls are `Unavailable` or `Refused` until it can be used.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let workers = Arc::new(Workers::new(options));
        let mut supervisors = JoinSet::new();
        for index in 0..workers.count() {
            // What is logged about a worker says whose it is, where the caller's span does.
            supervisors.spawn(Arc::clone(&workers).supervise(index).in_current_span());
        }
        if let Err(down) = workers.first_outcome().await {
            check(&down)?;
        }
        let hardware = workers.report().is_some_and(|report| report.hardware);
        Ok(Self { workers, hardware, _supervisors: supervisors })
    }

    /// What the self-test found; `None` while no worker has opened the token yet.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.workers.report()
    }

    /// How often a worker was replaced since the start.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.workers.restarts()
    }

    /// Generates a non-extractable AES-256 key that can do nothing but wrap and unwrap.
    pub async fn create_key(&self, label: &str) -> Result<(), CreateKeyError> {
        match self.workers.call(Request::CreateKey { label: label.to_owned() }).await? {
            Answer::Created => Ok(()),
            Answer::Failed(Failure::Exists) => Err(CreateKeyError::Exists),
            other => Err(unasked(other).into()),
        }
    }
}

#[async_trait]
impl KeyProvider for Pkcs11 {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // Only keys that wrap by AES-GCM do.
            binds_context: false,
            hardware: self.hardware,
            max_payload: Payload::LEN,
            permissions: Permissions {
                inspect: "the user PIN",
                wrap: "the user PIN, and CKA_WRAP on the key (AES-GCM: CKA_ENCRYPT)",
                unwrap: "the user PIN, and CKA_UNWRAP on the key (AES-GCM: CKA_DECRYPT)",
            },
        }
    }

    async fn inspect(&self, key: &KeyRef) -> Result<KeyState, Error> {
        match self.workers.call(Request::Inspect { key: key.as_str().to_owned() }).await? {
            Answer::Usable { mechanism } => Ok(KeyState::Usable { version: mechanism.name().to_owned() }),
            Answer::Failed(Failure::Disabled) => Ok(KeyState::Unusable(Unusable::Disabled)),
            other => Err(unasked(other)),
        }
    }

    async fn wrap_key(&self, key: &KeyRef, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let (key, payload, context) = (key.as_str().to_owned(), Payload::bind(secret, context)?, *context);
        match self.workers.call(Request::Wrap { key, payload, context }).await? {
            Answer::Wrapped { mechanism, bytes } => Ok(Wrapped { bytes, version: mechanism.name().to_owned() }),
            other => Err(unasked(other)),
        }
    }

    async fn unwrap_key(&self, key: &KeyRef, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let mechanism = Mechanism::from_name(&wrapped.version).filter(|_| wrapped.bytes.len() <= MAX_WRAPPED);
        let Some(mechanism) = mechanism else {
            // What no mechanism has made is not sent. A key that is missing or unusable still comes first.
            return Err(why_unusable(self.inspect(key).await).unwrap_or(Error::Mismatch));
        };
        let (key, wrapped) = (key.as_str().to_owned(), wrapped.bytes.clone());
        match self.workers.call(Request::Unwrap { key, mechanism, wrapped, context: *context }).await? {
            Answer::Unwrapped(payload) => payload.release(context),
            other => Err(unasked(other)),
        }
    }
}

/// Whether the provider can be used later, when its token comes or its PIN is right.
fn check(down: &Down) -> Result<(), OpenError> {
    match down {
        Down::Start(error) => Err(OpenError::Worker(error.kind().into())),
        Down::Open(Failure::Module(call)) => Err(OpenError::Module(call.clone())),
        Down::Open(Failure::AmbiguousToken) => Err(OpenError::AmbiguousToken),
        Down::Open(_) | Down::Trouble(_) => Ok(()),
    }
}

/// What an answer means that is not the one hoped for.
fn unasked(answer: Answer) -> Error {
    let Answer::Failed(failure) = answer else {
        return Error::broken(WrongAnswer);
    };
    tracing::debug!(error = &failure as &dyn std::error::Error, "a PKCS#11 call failed");
    match failure {
        Failure::Mismatch => Error::Mismatch,
        Failure::NoSuchKey => Error::NoSuchKey,
        Failure::Disabled => Error::KeyUnusable(Unusable::Disabled),
        Failure::AmbiguousKey => Error::broken(AmbiguousKey),
        Failure::Unsuitable => Error::broken(Unsuitable),
        Failure::PinRefused(_) => Error::Refused,
        Failure::Lost(_) | Failure::Trouble(_) | Failure::NoSuchToken => Error::Unavailable { retry_after: None },
        Failure::Broken(call) | Failure::Module(call) => Error::broken(call),
        Failure::Exists | Failure::AmbiguousToken => Error::broken(WrongAnswer),
    }
}

/// What an operator should know about a module.
fn report_to_log(report: &Report) {
    for Verdict { mechanism, outcome } in &report.verdicts {
        match outcome {
            Outcome::Usable | Outcome::NotOffered => info!(%mechanism, ?outcome, "PKCS#11 self-test"),
            Outcome::Failed | Outcome::WrongUnwrap | Outcome::WrongWrap | Outcome::OpensAltered => {
                warn!(%mechanism, ?outcome, "PKCS#11 self-test: the mechanism is not used");
            }
        }
    }
    if report.exports {
        warn!("the PKCS#11 module gives out keys that are marked as not extractable: the PIN is worth all of them");
    }
}
