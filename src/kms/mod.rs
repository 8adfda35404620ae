//! Around every provider, once: deadline, retry, concurrency limit, circuit breaker, metrics.

mod breaker;
pub mod connect;
mod import;

pub use import::ImportError;

use crate::clock::Clock;
use crate::store::keks::Kek;
use backon::{ExponentialBuilder, Retryable};
use breaker::Breaker;
use connect::Room;
use metrics::histogram;
use providers::{Context, Error, KeyProvider, KeyRef, KeyState, Wrapped};
use secret::Secret;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use uuid::Uuid;

/// How a provider may be called.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// For one call with all its retries.
    pub deadline: Duration,
    /// Calls at the same time.
    pub concurrency: usize,
}

/// The configured providers, by name.
#[derive(Debug)]
pub struct Kms {
    providers: HashMap<String, Guarded>,
    breakers: Mutex<HashMap<Uuid, Arc<Breaker>>>,
    clock: Arc<Clock>,
}

#[derive(Debug)]
struct Guarded {
    room: Room,
    permits: Semaphore,
}

impl Kms {
    /// Guards these providers.
    #[must_use]
    pub fn new(rooms: BTreeMap<String, Room>, clock: Arc<Clock>) -> Self {
        let guard = |(name, room): (String, Room)| {
            let permits = Semaphore::new(room.limits.concurrency);
            (name, Guarded { room, permits })
        };
        Self { providers: rooms.into_iter().map(guard).collect(), breakers: Mutex::default(), clock }
    }

    /// Whether a provider of that name is configured.
    #[must_use]
    pub fn has(&self, provider: &str) -> bool {
        self.providers.contains_key(provider)
    }

    /// [`KeyProvider::inspect`], guarded.
    pub async fn inspect(&self, kek: &Kek) -> Result<KeyState, Error> {
        let key = KeyRef::new(&kek.key_name);
        self.call(kek, "inspect", |provider| {
            let key = key.clone();
            async move { provider.inspect(&key).await }
        })
        .await
    }

    /// [`KeyProvider::wrap_key`], guarded. Wrapping twice does no harm, so it is retried.
    pub async fn wrap(&self, kek: &Kek, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let key = &KeyRef::new(&kek.key_name);
        self.call(kek, "wrap", |provider| async move { provider.wrap_key(key, secret, context).await }).await
    }

    /// [`KeyProvider::unwrap_key`], guarded. Only calls that gave nothing are retried.
    pub async fn unwrap(&self, kek: &Kek, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let key = &KeyRef::new(&kek.key_name);
        self.call(kek, "unwrap", |provider| async move { provider.unwrap_key(key, wrapped, context).await }).await
    }

    async fn call<'a, T, F>(
        &'a self,
        kek: &Kek,
        operation: &'static str,
        call: impl FnMut(&'a dyn KeyProvider) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let guarded = self.providers.get(&kek.provider).ok_or(Error::NoSuchKey)?;
        let breaker = self.breaker(kek.id);
        breaker.admit(self.clock.now()).map_err(|wait| Error::Unavailable { retry_after: Some(wait) })?;
        // Waiting for others' calls says nothing about this KEK, so it is not held against it.
        let permit = guarded.permit().await?;
        let started = Instant::now();
        let done = guarded.call(call).await;
        drop(permit);
        breaker.record(!matches!(done, Err(Error::Unavailable { .. } | Error::Broken(_))), self.clock.now());
        measure(&kek.provider, operation, done.as_ref().err().map_or("ok", code), started);
        done
    }

    fn breaker(&self, kek: Uuid) -> Arc<Breaker> {
        self.breakers.lock().expect("invariant: nothing panics while holding this lock").entry(kek).or_default().clone()
    }
}

fn measure(provider: &str, operation: &'static str, outcome: &'static str, started: Instant) {
    histogram!("keyfold_provider_seconds", "provider" => provider.to_owned(), "operation" => operation,
               "outcome" => outcome)
    .record(started.elapsed());
}

impl Guarded {
    /// One of the calls that may run at the same time; waits for it no longer than for a call.
    async fn permit(&self) -> Result<SemaphorePermit<'_>, Error> {
        let waited = timeout(self.room.limits.deadline, self.permits.acquire()).await;
        waited.ok().and_then(Result::ok).ok_or(Error::Unavailable { retry_after: None })
    }

    async fn call<'a, T, F>(&'a self, mut call: impl FnMut(&'a dyn KeyProvider) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let attempts = async {
            let backoff =
                ExponentialBuilder::default().with_min_delay(Duration::from_millis(50)).with_max_times(3).with_jitter();
            // Who is asked to wait for longer than there is, is told so instead of made to wait.
            let in_time = |wait: &Duration| *wait < self.room.limits.deadline;
            let wait = |error: &Error, backoff| as_asked(error, backoff).filter(in_time);
            (|| call(&*self.room.keys)).retry(backoff).when(is_passing).adjust(wait).await
        };
        timeout(self.room.limits.deadline, attempts).await.unwrap_or(Err(Error::Unavailable { retry_after: None }))
    }
}

/// What may go better a moment later.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Throttled { .. } | Error::Unavailable { .. } => true,
        Error::Mismatch | Error::NoSuchKey | Error::KeyUnusable(_) | Error::Refused | Error::Broken(_) => false,
    }
}

/// The vendor's own wish comes before our back-off.
fn as_asked(error: &Error, backoff: Option<Duration>) -> Option<Duration> {
    match error {
        Error::Throttled { retry_after } | Error::Unavailable { retry_after } => {
            backoff.map(|ours| retry_after.unwrap_or(ours).max(ours))
        }
        Error::Mismatch | Error::NoSuchKey | Error::KeyUnusable(_) | Error::Refused | Error::Broken(_) => backoff,
    }
}

/// The reason code of a provider's error, in events and metrics.
#[must_use]
pub fn code(error: &Error) -> &'static str {
    match error {
        Error::Mismatch => "kek_mismatch",
        Error::NoSuchKey => "kek_not_found",
        Error::KeyUnusable(providers::Unusable::Disabled) => "kek_disabled",
        Error::KeyUnusable(providers::Unusable::PendingDeletion) => "kek_pending_deletion",
        Error::KeyUnusable(providers::Unusable::Expired) => "kek_expired",
        Error::Refused => "provider_refused",
        Error::Throttled { .. } => "provider_throttled",
        Error::Unavailable { .. } => "provider_unavailable",
        Error::Broken(_) => "provider_broken",
    }
}
