//! The worker: a process of its own that loads the vendor's module, so that a module that hangs, leaks or crashes costs
//! this process and never the broker. It reads requests from standard input and answers on standard output.

use super::client::Module;
use super::failure::Failure;
use super::token::Token;
use super::wire::{self, Answer, Open, Request};
use rustix::process::{Signal, getpid, kill_process};
use rustix::stdio::{dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// More threads than any broker asks for.
const MAX_SESSIONS: u32 = 1024;

/// Serves the broker that has started this process, until it closes the pipe. Calls nothing but the module after that.
pub fn run() -> io::Result<()> {
    if !secret::harden_process().locked {
        eprintln!("memory could not be locked: secrets may be swapped to disk");
    }
    let mut requests = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let answers = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // What a module reads or prints must not get between the frames.
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(io::stderr())?;
    end_on_panic();
    let served = serve(&mut requests, answers);
    // Threads may hang in the module for good, and so may its exit handlers.
    kill_process(getpid(), Signal::KILL)?;
    served
}

/// Hands requests to threads until the pipe ends or carries something that is no request.
fn serve(requests: &mut File, answers: File) -> io::Result<()> {
    let (queue, waiting) = channel();
    let (waiting, answers) = (Mutex::new(waiting), Mutex::new(answers));
    let shared = Arc::new(Shared { waiting, answers, module: Mutex::default(), token: Mutex::default() });
    let mut threads = 0;
    while let Some(body) = wire::read(requests)? {
        let (id, request) =
            Request::decode(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Request::Open(open) = &request {
            let wanted = open.sessions.clamp(1, MAX_SESSIONS);
            while threads < wanted {
                threads += 1;
                let shared = Arc::clone(&shared);
                thread::Builder::new().spawn(move || shared.work())?;
            }
        }
        if queue.send((id, request)).is_err() {
            break;
        }
    }
    Ok(())
}

/// A thread that has panicked holds locks and owes an answer: the broker gets a new process sooner than a late answer.
fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("the worker panicked at {}", panic.location().map(ToString::to_string).unwrap_or_default());
        std::process::abort();
    }));
}

/// What the threads of a worker share.
struct Shared {
    waiting: Mutex<Receiver<(u32, Request)>>,
    answers: Mutex<File>,
    module: Mutex<Option<Arc<Module>>>,
    token: Mutex<Option<Arc<Token>>>,
}

impl Shared {
    fn work(&self) {
        loop {
            let next = lock(&self.waiting).recv();
            let Ok((id, request)) = next else { return };
            let answer = self.perform(&request).unwrap_or_else(Answer::Failed);
            if lock(&self.answers).write_all(&answer.encode(id)).is_err() {
                return;
            }
        }
    }

    fn perform(&self, request: &Request) -> Result<Answer, Failure> {
        if let Request::Open(open) = request {
            return self.open(open);
        }
        let token = lock(&self.token).clone().ok_or(Failure::NoSuchToken)?;
        token.perform(request)
    }

    /// Lets go of the token and its sessions, and opens it anew.
    fn open(&self, open: &Open) -> Result<Answer, Failure> {
        drop(lock(&self.token).take());
        let module = self.module(open)?;
        let (token, report) = Token::open(module, open)?;
        *lock(&self.token) = Some(Arc::new(token));
        Ok(Answer::Opened(report))
    }

    fn module(&self, open: &Open) -> Result<Arc<Module>, Failure> {
        let mut loaded = lock(&self.module);
        if let Some(module) = &*loaded {
            return Ok(Arc::clone(module));
        }
        let module = Arc::new(Module::load(&open.module, &open.library_parameters)?);
        *loaded = Some(Arc::clone(&module));
        Ok(module)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
