//! A bounded number of logged-in sessions, each used by one thread at a time.

use super::client::{Client, Connection};
use super::translate;
use crate::Error;
use cryptoki::types::RawAuthPin;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Sessions with one token. Opens them when needed and keeps those whose last call went well.
pub(super) struct Pool {
    client: Arc<Client>,
    pin: RawAuthPin,
    /// Set for good when the token refuses the PIN: trying it again and again would lock the token.
    pin_refused: AtomicBool,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    /// No session is opened yet.
    pub(super) fn new(client: Arc<Client>, pin: RawAuthPin, max_sessions: usize) -> Self {
        let (pin_refused, idle) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        Self { client, pin, pin_refused, idle, permits: Arc::new(Semaphore::new(max_sessions)) }
    }

    /// Runs `call` with a session on a thread for blocking work. It runs to its end, and cleans up after itself,
    /// even when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(Error::broken)?;
        let pool = Arc::clone(self);
        let run = move || {
            let _permit = permit;
            pool.run_blocking(call)
        };
        spawn_blocking(run).await.map_err(Error::broken)?
    }

    /// As [`Pool::run`], on this thread, and without counting against the maximum.
    pub(super) fn run_blocking<T>(&self, call: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let result = call(&connection);
        if ends_session(&result) {
            // What ended one has most likely ended all; closing them also destroys their objects.
            self.idle().clear();
        } else {
            self.idle().push(connection);
        }
        result
    }

    fn connect(&self) -> Result<Connection, Error> {
        if self.pin_refused.load(Ordering::Relaxed) {
            return Err(Error::Refused);
        }
        let connection = self.client.connect(&self.pin).map_err(translate);
        if matches!(connection, Err(Error::Refused)) {
            self.pin_refused.store(true, Ordering::Relaxed);
        }
        connection
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the session may be at fault, or may hold an object that could not be destroyed.
fn ends_session<T>(result: &Result<T, Error>) -> bool {
    match result {
        Ok(_) | Err(Error::Mismatch | Error::NoSuchKey | Error::KeyUnusable(_)) => false,
        Err(Error::Refused | Error::Throttled { .. } | Error::Unavailable { .. } | Error::Broken(_)) => true,
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("client", &self.client).finish_non_exhaustive()
    }
}
