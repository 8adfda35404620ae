//! The workers of a provider: each is started, watched, and replaced when it hangs, crashes or loses its token.

use super::failure::{CallFailed, Failure};
use super::process::{Life, NoAnswer, Process, Trouble};
use super::self_test::Report;
use super::wire::{Answer, Open, Request};
use super::{Options, report_to_log};
use crate::Error;
use secret::Secret;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

/// For loading the module, logging in and the self-test.
const OPEN_DEADLINE: Duration = Duration::from_secs(15);
/// After a refused PIN, nobody logs in for so long: tokens lock themselves after a few attempts.
const PIN_PAUSE: Duration = Duration::from_secs(60);
/// A worker that lives for so long was all right.
const SETTLED: Duration = Duration::from_secs(10);
/// The pause after the second life in a row that was shorter; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why a worker is not in service.
#[derive(Debug, Error)]
pub(super) enum Down {
    #[error("the worker program cannot be started")]
    Start(#[source] io::Error),
    #[error("the PKCS#11 token cannot be used")]
    Open(#[source] Failure),
    #[error(transparent)]
    Trouble(Trouble),
}

/// Where a worker stands.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// Being started, or opening its token anew.
    Starting,
    Serving(Arc<Process>),
    /// Not before then.
    Paused(Arc<Down>, Instant),
}

/// All workers of a provider.
#[derive(Debug)]
pub(super) struct Workers {
    options: Options,
    states: watch::Sender<Vec<State>>,
    next: AtomicUsize,
    /// Held while a worker logs in; when the token refused the PIN last, and how.
    login: Mutex<Option<(Instant, CallFailed)>>,
    restarts: AtomicU64,
    report: OnceLock<Report>,
}

impl Workers {
    pub(super) fn new(options: Options) -> Self {
        let states = watch::Sender::new(vec![State::Starting; options.workers.max(1)]);
        let (next, login, restarts) = (AtomicUsize::new(0), Mutex::new(None), AtomicU64::new(0));
        Self { options, states, next, login, restarts, report: OnceLock::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.states.borrow().len()
    }

    /// How often a worker process was replaced.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// What the first worker that opened the token found out.
    pub(super) fn report(&self) -> Option<&Report> {
        self.report.get()
    }

    /// Waits until any worker serves or the first one has failed, and says why.
    pub(super) async fn first_outcome(&self) -> Result<(), Arc<Down>> {
        let mut states = self.states.subscribe();
        let settled = |states: &Vec<State>| {
            let serving = states.iter().any(|state| matches!(state, State::Serving(_)));
            serving || matches!(states[0], State::Paused(..))
        };
        let states = states.wait_for(settled).await.expect("invariant: the sender lives as long as its owner");
        match &states[0] {
            State::Paused(down, _) if !states.iter().any(|state| matches!(state, State::Serving(_))) => {
                Err(Arc::clone(down))
            }
            State::Paused(..) | State::Starting | State::Serving(_) => Ok(()),
        }
    }

    /// One call by any worker. It goes on, within its deadline, when the caller stops waiting.
    pub(super) async fn call(self: &Arc<Self>, request: Request) -> Result<Answer, Error> {
        let workers = Arc::clone(self);
        tokio::spawn(async move { workers.call_to_end(request).await }).await.map_err(Error::broken)?
    }

    /// Keeps worker `index` running, for ever.
    pub(super) async fn supervise(self: Arc<Self>, index: usize) {
        let mut short_lives = 0;
        loop {
            let born = Instant::now();
            let down = self.live(index).await;
            short_lives = if born.elapsed() < SETTLED { short_lives + 1 } else { 1 };
            let pause = down.pause(short_lives);
            self.restarts.fetch_add(1, Ordering::Relaxed);
            warn!(
                error = &down as &dyn std::error::Error,
                pause_ms = pause.as_millis(),
                "a PKCS#11 worker is replaced"
            );
            if !pause.is_zero() {
                self.set(index, State::Paused(Arc::new(down), Instant::now() + pause));
                sleep(pause).await;
                self.set(index, State::Starting);
            }
        }
    }

    /// One life of a worker process, from its start to its end.
    async fn live(&self, index: usize) -> Down {
        let down = match self.start().await {
            Ok(life) => self.serve(index, life).await,
            Err(down) => down,
        };
        self.set(index, State::Starting);
        down
    }

    async fn start(&self) -> Result<Life, Down> {
        let Options { worker, environment, sessions, .. } = &self.options;
        let _turn = self.may_log_in().await?;
        Life::start(worker, environment, (*sessions).max(1)).map_err(Down::Start)
    }

    /// Serves until there is trouble; lost sessions are opened anew once, without another process.
    async fn serve(&self, index: usize, mut life: Life) -> Down {
        loop {
            let report = match self.open(&life.process).await {
                Ok(report) => report,
                Err(down) => return down,
            };
            if self.report.get().is_none() {
                report_to_log(&report);
                let _first = self.report.set(report);
            }
            while life.trouble.try_recv().is_ok() {}
            let opened = Instant::now();
            self.set(index, State::Serving(Arc::clone(&life.process)));
            match life.trouble.recv().await.unwrap_or(Trouble::Exited) {
                Trouble::SessionsLost if opened.elapsed() > Duration::from_secs(1) => {
                    info!("a PKCS#11 worker opens its token anew");
                    self.set(index, State::Starting);
                }
                trouble => {
                    // Out of service first: nobody may be sent to a process that is being killed.
                    self.set(index, State::Starting);
                    return Down::Trouble(trouble);
                }
            }
        }
    }

    /// Opens the token and logs in, one worker at a time.
    async fn open(&self, process: &Process) -> Result<Report, Down> {
        let mut refused = self.may_log_in().await?;
        let answer = process.call(Request::Open(self.request()), OPEN_DEADLINE, None).await;
        match answer {
            Ok(Answer::Opened(report)) => Ok(report),
            Ok(Answer::Failed(failure)) => {
                if let Failure::PinRefused(call) = &failure {
                    *refused = Some((Instant::now(), call.clone()));
                }
                Err(Down::Open(failure))
            }
            Ok(Answer::Usable { .. } | Answer::Wrapped { .. } | Answer::Unwrapped(_) | Answer::Created) => {
                Err(Down::Trouble(Trouble::Nonsense))
            }
            Err(NoAnswer) => Err(Down::Trouble(Trouble::Exited)),
        }
    }

    /// Waits for the turn to log in; fails while a refused PIN is too fresh to try it again.
    async fn may_log_in(&self) -> Result<MutexGuard<'_, Option<(Instant, CallFailed)>>, Down> {
        let refused = self.login.lock().await;
        match &*refused {
            Some((at, call)) if at.elapsed() < PIN_PAUSE => Err(Down::Open(Failure::PinRefused(call.clone()))),
            Some(_) | None => Ok(refused),
        }
    }

    fn request(&self) -> Open {
        let Options { module, token, library_parameters, pin, sessions, .. } = &self.options;
        #[expect(clippy::disallowed_methods, reason = "the request owns a copy, which is wiped")]
        let pin = Secret::copied_from(pin.expose());
        Open {
            module: module.to_string_lossy().into_owned(),
            library_parameters: library_parameters.clone().unwrap_or_default(),
            token: token.as_str().to_owned(),
            sessions: u32::try_from(*sessions).unwrap_or(u32::MAX),
            pin,
        }
    }

    async fn call_to_end(&self, request: Request) -> Result<Answer, Error> {
        let unavailable = Error::Unavailable { retry_after: None };
        let seat = timeout(self.options.deadline, self.session()).await;
        let (process, permit) = seat.unwrap_or(Err(unavailable))?;
        let answer = process.call(request, self.options.deadline, Some(permit)).await;
        let answer = answer.map_err(|NoAnswer| Error::Unavailable { retry_after: Some(FIRST_PAUSE) })?;
        if let Answer::Failed(Failure::Lost(_)) = answer {
            process.report(Trouble::SessionsLost);
        }
        Ok(answer)
    }

    /// A free session of any worker. Waits for workers that are starting; says what is wrong when all are paused.
    async fn session(&self) -> Result<(Arc<Process>, OwnedSemaphorePermit), Error> {
        let mut states = self.states.subscribe();
        loop {
            let chosen = self.choose(&states.borrow_and_update());
            match chosen {
                State::Serving(process) => {
                    // Closed when the process has ended meanwhile: then another state follows.
                    if let Ok(permit) = Arc::clone(&process.sessions).acquire_owned().await {
                        return Ok((process, permit));
                    }
                }
                State::Starting => {}
                State::Paused(down, until) => return Err(down.to_error(until)),
            }
            states.changed().await.map_err(Error::broken)?;
        }
    }

    /// The serving worker with most free sessions; else one that is starting; else any.
    fn choose(&self, states: &[State]) -> State {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = (0..states.len()).map(|step| &states[start.wrapping_add(step) % states.len()]);
        let rank = |state: &&State| match state {
            State::Serving(process) => 2 + process.sessions.available_permits(),
            State::Starting => 1,
            State::Paused(..) => 0,
        };
        turn.max_by_key(rank).cloned().unwrap_or(State::Starting)
    }

    fn set(&self, index: usize, state: State) {
        self.states.send_modify(|states| states[index] = state);
    }
}

impl Down {
    /// Nothing after the first short life; then longer and longer. A set-up that cannot work is not tried often.
    fn pause(&self, short_lives: u32) -> Duration {
        match self {
            Self::Open(Failure::PinRefused(_)) => PIN_PAUSE,
            Self::Start(_) | Self::Open(Failure::Module(_) | Failure::AmbiguousToken) => LONGEST_PAUSE,
            Self::Open(_) => FIRST_PAUSE.saturating_mul(1 << short_lives.min(10)).min(LONGEST_PAUSE),
            Self::Trouble(_) if short_lives < 2 => Duration::ZERO,
            Self::Trouble(_) => FIRST_PAUSE.saturating_mul(1 << (short_lives - 2).min(10)).min(LONGEST_PAUSE),
        }
    }

    /// What a call is told that finds no worker in service.
    fn to_error(self: &Arc<Self>, until: Instant) -> Error {
        let unavailable = Error::Unavailable { retry_after: Some(until.saturating_duration_since(Instant::now())) };
        match &**self {
            Self::Start(_) => Error::broken(Arc::clone(self)),
            Self::Trouble(_) => unavailable,
            Self::Open(failure) => match failure {
                Failure::PinRefused(_) => Error::Refused,
                Failure::Module(_) | Failure::AmbiguousToken | Failure::Broken(_) => Error::broken(Arc::clone(self)),
                Failure::NoSuchToken | Failure::Lost(_) | Failure::Trouble(_) => unavailable,
                Failure::Mismatch
                | Failure::NoSuchKey
                | Failure::Disabled
                | Failure::AmbiguousKey
                | Failure::Unsuitable
                | Failure::Exists => Error::broken(Arc::clone(self)),
            },
        }
    }
}
