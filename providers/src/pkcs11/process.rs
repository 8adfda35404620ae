//! One life of a worker process, as the broker sees it: calls in, answers out, and the end of it.

use super::wire::{self, Answer, Frame, Request};
use super::{Program, lines};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Variables of the broker's environment that a module may need; also any that ends in `_CONF`.
const PASSED_ON: [&str; 6] = ["HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "LANG"];

/// Why a worker is taken out of service.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// A call took longer than it may.
    #[error("a call of the PKCS#11 module took too long")]
    Overdue,
    /// The process has ended: the module has crashed.
    #[error("the PKCS#11 module has ended its process")]
    Exited,
    /// The process answers what is no answer.
    #[error("the worker of the PKCS#11 module answers nonsense")]
    Nonsense,
    /// Its sessions with the token are gone.
    #[error("the PKCS#11 module has lost its sessions")]
    SessionsLost,
}

/// The call got no answer, and the process is being replaced.
#[derive(Debug)]
pub(super) struct NoAnswer;

/// A running worker process: what calls need of it.
#[derive(Debug)]
pub(super) struct Process {
    stdin: tokio::sync::Mutex<ChildStdin>,
    calls: Mutex<Calls>,
    trouble: mpsc::Sender<Trouble>,
    /// One for each session; closed with the process.
    pub(super) sessions: Arc<Semaphore>,
}

/// What only its supervisor has. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) process: Arc<Process>,
    pub(super) trouble: mpsc::Receiver<Trouble>,
    child: Child,
    _readers: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Calls {
    last: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
    ended: bool,
}

impl Life {
    /// Starts the worker program with an environment of its own.
    pub(super) fn start(
        program: &Program,
        environment: &BTreeMap<String, String>,
        sessions: usize,
    ) -> io::Result<Self> {
        let inherited = std::env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|name| PASSED_ON.contains(&name) || name.ends_with("_CONF")));
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env_clear().envs(inherited).envs(environment).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let ((stdin, stdout), stderr) = pipes.expect("invariant: the command asks for three pipes");
        let (sender, trouble) = mpsc::channel(16);
        let process = Arc::new(Process {
            stdin: tokio::sync::Mutex::new(stdin),
            calls: Mutex::default(),
            trouble: sender,
            sessions: Arc::new(Semaphore::new(sessions)),
        });
        let mut readers = JoinSet::new();
        readers.spawn(Arc::clone(&process).read_answers(stdout));
        readers.spawn(lines::log(stderr));
        Ok(Self { process, trouble, child, _readers: readers })
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.start_kill();
        self.process.end();
    }
}

impl Process {
    /// One call, by a caller that stays until it is done. `permit` is held for as long as the worker is busy with it.
    pub(super) async fn call(
        &self,
        request: Request,
        deadline: Duration,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, NoAnswer> {
        let (id, answer) = self.expect_answer()?;
        let frame = request.encode(id);
        drop(request);
        let exchange = async {
            self.send(frame).await.map_err(|_| NoAnswer)?;
            answer.await.map_err(|_| NoAnswer)
        };
        let outcome = timeout(deadline, exchange).await.unwrap_or_else(|_| {
            self.report(Trouble::Overdue);
            Err(NoAnswer)
        });
        drop(permit);
        outcome
    }

    /// Tells the supervisor. What comes after the first report of a kind changes nothing.
    pub(super) fn report(&self, trouble: Trouble) {
        let _known = self.trouble.try_send(trouble);
    }

    async fn send(&self, frame: Frame) -> io::Result<()> {
        self.stdin.lock().await.write_all(&frame).await
    }

    fn expect_answer(&self) -> Result<(u32, oneshot::Receiver<Answer>), NoAnswer> {
        let (sender, receiver) = oneshot::channel();
        let mut calls = self.calls();
        if calls.ended {
            return Err(NoAnswer);
        }
        calls.last = calls.last.wrapping_add(1);
        let id = calls.last;
        calls.waiting.insert(id, sender);
        Ok((id, receiver))
    }

    async fn read_answers(self: Arc<Self>, mut stdout: ChildStdout) {
        let trouble = loop {
            match read_answer(&mut stdout).await {
                Ok((id, answer)) => self.answer(id, answer),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => break Trouble::Nonsense,
                Err(_) => break Trouble::Exited,
            }
        };
        self.report(trouble);
        self.end();
    }

    fn answer(&self, id: u32, answer: Answer) {
        let waiting = self.calls().waiting.remove(&id);
        // Who has stopped waiting has reported it; an answer that nobody asked for is dropped, and wiped.
        let _late = waiting.map(|caller| caller.send(answer));
    }

    /// Lets every waiting caller know, and takes no more.
    fn end(&self) {
        let mut calls = self.calls();
        calls.ended = true;
        calls.waiting.clear();
        self.sessions.close();
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_answer(stdout: &mut ChildStdout) -> io::Result<(u32, Answer)> {
    let mut length = [0; 4];
    stdout.read_exact(&mut length).await?;
    let mut body = wire::room_for(length)?;
    stdout.read_exact(&mut body).await?;
    Answer::decode(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
