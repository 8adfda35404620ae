//! Around every provider, once: permits, quota, deadline, retry, circuit breaker, wrap budget, metrics.

mod breaker;
mod budget;
pub mod connect;
mod guard;
mod import;
mod limiter;
mod metrics;
pub mod probe;

#[cfg(test)]
mod tests;

pub use import::ImportError;

use crate::store::keks::Kek;
use connect::Room;
use guard::{Call, Guard};
use limiter::Priority;
use metrics::Operation;
use providers::{Capabilities, Context, Error, KeyRef, KeyState, Wrapped};
use secret::Secret;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// How a provider may be called.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// For one call with all its waits and retries.
    pub deadline: Duration,
    /// Calls at the same time, at most.
    pub concurrency: usize,
    /// The vendor's quota, where there is one.
    pub per_second: Option<NonZeroU32>,
    /// Wraps of one version of a KEK.
    pub wrap_budget: u64,
}

/// The configured providers, by name. Clones share all that is known about them.
#[derive(Debug, Clone)]
pub struct Kms {
    guards: Arc<HashMap<String, Guard>>,
    priority: Priority,
}

impl Kms {
    /// Guards these providers.
    #[must_use]
    pub fn new(rooms: BTreeMap<String, Room>) -> Self {
        let guards = rooms.into_iter().map(|(name, room)| (name.clone(), Guard::new(name, room))).collect();
        Self { guards: Arc::new(guards), priority: Priority::Foreground }
    }

    /// The same providers for work that nobody waits for: its calls get at most half of permits and quota, and never
    /// go before a foreground call. The longest wait is the same.
    #[must_use]
    pub fn background(&self) -> Self {
        Self { priority: Priority::Background, ..self.clone() }
    }

    /// Whether a provider of that name is configured.
    #[must_use]
    pub fn has(&self, provider: &str) -> bool {
        self.guards.contains_key(provider)
    }

    /// What the provider of that name can do.
    #[must_use]
    pub fn capabilities(&self, provider: &str) -> Option<Capabilities> {
        self.guards.get(provider).map(|guard| guard.room.keys.capabilities())
    }

    /// [`providers::KeyProvider::inspect`], guarded.
    pub async fn inspect(&self, kek: &Kek) -> Result<KeyState, Error> {
        let (guard, key) = (self.guard(kek)?, &KeyRef::new(&kek.key_name));
        let call = self.call(kek, Operation::Inspect);
        let state = guard.call(call, |room| async move { room.keys.inspect(key).await }).await?;
        if let KeyState::Usable { version } = &state {
            guard.kek(kek.id).budget.uses(version);
        }
        Ok(state)
    }

    /// [`providers::KeyProvider::wrap_key`], guarded. Wrapping twice does no harm, so it is retried. A KEK whose wrap
    /// budget is spent is [`providers::Unusable::Exhausted`], until the provider has a new version of it.
    pub async fn wrap(&self, kek: &Kek, secret: &Secret, context: &Context) -> Result<Wrapped, Error> {
        let (guard, key) = (self.guard(kek)?, &KeyRef::new(&kek.key_name));
        self.check_budget(kek).await?;
        let health = &guard.kek(kek.id);
        let call = self.call(kek, Operation::Wrap);
        let wrapped = guard.call(call, |room| async move {
            health.spend_wrap(kek.id);
            room.keys.wrap_key(key, secret, context).await
        });
        let wrapped = wrapped.await?;
        health.budget.uses(&wrapped.version);
        Ok(wrapped)
    }

    /// [`providers::KeyProvider::unwrap_key`], guarded. Only calls that gave nothing are retried.
    pub async fn unwrap(&self, kek: &Kek, wrapped: &Wrapped, context: &Context) -> Result<Secret, Error> {
        let (guard, key) = (self.guard(kek)?, &KeyRef::new(&kek.key_name));
        let call = self.call(kek, Operation::Unwrap);
        guard.call(call, |room| async move { room.keys.unwrap_key(key, wrapped, context).await }).await
    }

    /// [`providers::RewrapKey::rewrap_key`], guarded; retried as a wrap is, and of the budget of `to`. `None` where the
    /// two KEKs lie at different providers, or the provider cannot: unwrap and wrap instead.
    pub async fn rewrap(
        &self,
        from: &Kek,
        to: &Kek,
        wrapped: &Wrapped,
        context: &Context,
    ) -> Option<Result<Wrapped, Error>> {
        let guard = self.guards.get(&from.provider).filter(|_| from.provider == to.provider)?;
        let room = &**guard.room.rewrap.as_ref()?;
        if let Err(error) = self.check_budget(to).await {
            return Some(Err(error));
        }
        let keys = &(KeyRef::new(&from.key_name), KeyRef::new(&to.key_name));
        let health = &guard.kek(to.id);
        let call = self.call(from, Operation::Rewrap);
        let done = guard.call(call, |_| async move {
            health.spend_wrap(to.id);
            room.rewrap_key(&keys.0, &keys.1, wrapped, context).await
        });
        let done = done.await;
        if let Ok(wrapped) = &done {
            health.budget.uses(&wrapped.version);
        }
        Some(done)
    }

    /// So many wraps that one of the provider's versions of `kek` made before the start count for its wrap budget.
    pub fn count_wraps(&self, kek: &Kek, version: &str, wraps: u64) {
        if let Some(guard) = self.guards.get(&kek.provider) {
            guard.kek(kek.id).budget.add(version, wraps);
        }
    }

    /// Brings the metrics up to date that no call does.
    pub fn measure(&self) {
        for (provider, guard) in &*self.guards {
            if let Some(pkcs11) = &guard.room.pkcs11 {
                metrics::pkcs11_restarts(provider, pkcs11.restarts());
            }
        }
    }

    /// A spent budget is asked about again: the key may have been rotated at its provider.
    async fn check_budget(&self, kek: &Kek) -> Result<(), Error> {
        let health = self.guard(kek)?.kek(kek.id);
        if health.budget.check().is_err() {
            self.inspect(kek).await?;
        }
        health.budget.check()
    }

    fn guard(&self, kek: &Kek) -> Result<&Guard, Error> {
        self.guards.get(&kek.provider).ok_or(Error::NoSuchKey)
    }

    fn call(&self, kek: &Kek, operation: Operation) -> Call {
        Call { kek: kek.id, operation, priority: self.priority }
    }
}

/// The outcome of a call, in metrics.
fn outcome<T>(done: &Result<T, Error>) -> &'static str {
    done.as_ref().err().map_or("ok", code)
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
        Error::KeyUnusable(providers::Unusable::NotYetValid) => "kek_not_yet_valid",
        Error::KeyUnusable(providers::Unusable::Exhausted) => "kek_exhausted",
        Error::Refused => "provider_refused",
        Error::Throttled { .. } => "provider_throttled",
        Error::Unavailable { .. } => "provider_unavailable",
        Error::Broken(_) => "provider_broken",
    }
}
