//! What the guard tells about providers and KEKs; each name is explained in docs/OPERATIONS.md.

use super::limiter::Priority;
use metrics::{Gauge, counter, gauge, histogram};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// One of the calls of [`super::Kms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Inspect,
    Wrap,
    Unwrap,
    Rewrap,
    ImportParameters,
    Import,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Rewrap => "rewrap",
            Self::ImportParameters => "import_parameters",
            Self::Import => "import",
        }
    }
}

/// The permits of one provider.
#[derive(Debug)]
pub(super) struct PermitMeter {
    in_use: Gauge,
    allowed: Gauge,
}

impl PermitMeter {
    pub(super) fn of(provider: &str) -> Self {
        let provider = provider.to_owned();
        Self {
            in_use: gauge!("keyfold_provider_permits_in_use", "provider" => provider.clone()),
            allowed: gauge!("keyfold_provider_permits_allowed", "provider" => provider),
        }
    }

    pub(super) fn show(&self, in_use: usize, allowed: usize) {
        self.in_use.set(in_use as f64);
        self.allowed.set(allowed as f64);
    }
}

/// One attempt: how long the provider took, without waiting for its permit.
pub(super) fn attempt(provider: &str, operation: Operation, outcome: &'static str, took: Duration) {
    histogram!("keyfold_provider_seconds", "provider" => provider.to_owned(), "operation" => operation.as_str(),
               "outcome" => outcome)
    .record(took);
}

/// One wait for a permit, whether it was given or not.
pub(super) fn wait(provider: &str, priority: Priority, took: Duration) {
    let priority = match priority {
        Priority::Foreground => "foreground",
        Priority::Background => "background",
    };
    histogram!("keyfold_provider_wait_seconds", "provider" => provider.to_owned(), "priority" => priority).record(took);
}

pub(super) fn circuit(kek: Uuid, open: bool) {
    gauge!("keyfold_kek_circuit_open", "kek" => kek.to_string()).set(if open { 1.0 } else { 0.0 });
}

pub(super) fn budget(kek: Uuid, used: f64) {
    gauge!("keyfold_kek_wrap_budget_used", "kek" => kek.to_string()).set(used);
}

/// How often a worker process of a PKCS#11 module was replaced since the start.
pub(super) fn pkcs11_restarts(provider: &str, restarts: u64) {
    counter!("keyfold_pkcs11_restarts_total", "provider" => provider.to_owned()).absolute(restarts);
}

/// Measures one call under a KEK, as the broker sees it: with its waits and retries. Dropped early, it was cancelled.
#[derive(Debug)]
pub(super) struct CallMeter {
    kek: Uuid,
    operation: Operation,
    started: Instant,
    outcome: &'static str,
}

impl CallMeter {
    pub(super) fn start(kek: Uuid, operation: Operation) -> Self {
        Self { kek, operation, started: Instant::now(), outcome: "cancelled" }
    }

    pub(super) fn finish(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for CallMeter {
    fn drop(&mut self) {
        let kek = self.kek.to_string();
        histogram!("keyfold_kek_seconds", "kek" => kek.clone()).record(self.started.elapsed());
        counter!("keyfold_kek_calls_total", "kek" => kek, "operation" => self.operation.as_str(),
                 "outcome" => self.outcome)
        .increment(1);
    }
}
