//! Every KEK in use opens its canary once a minute: an outage is known before a device needs the key.

use super::event;
use crate::broker::Broker;
use crate::commit::{Change, Proposal};
use crate::error::Error;
use crate::health::HealthState;
use crate::kms;
use crate::kms::probe::canary_context;
use crate::store::keks::{self, Kek};
use audit::event::{Kind, Outcome};
use metrics::gauge;
use providers::Wrapped;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Tests all KEKs in use, about every `interval`, until `stop`.
pub async fn watch(broker: Arc<Broker>, interval: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(jittered(interval)) => {}
        }
        if let Err(error) = test_all(&broker).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the KEKs cannot be looked up for their test");
        }
    }
}

/// From three to five quarters of it, so that brokers do not ask one vendor in step.
fn jittered(interval: Duration) -> Duration {
    let mut byte = [0];
    aws_lc_rs::rand::fill(&mut byte).expect("invariant: the system random number generator works");
    interval * (384 + u32::from(byte[0])) / 512
}

async fn test_all(broker: &Arc<Broker>) -> Result<(), Error> {
    let in_use = keks::in_use(&mut *broker.store.reader().await?).await?;
    let ids: BTreeSet<_> = in_use.iter().map(|(kek, _)| kek.id).collect();
    for gone in broker.health.keep(&ids) {
        gauge!("keyfold_kek_usable", "kek" => gone.to_string()).set(f64::NAN);
    }
    let mut tests = JoinSet::new();
    for (kek, canary) in in_use {
        tests.spawn(test(broker.clone(), kek, canary));
    }
    tests.join_all().await;
    Ok(())
}

async fn test(broker: Arc<Broker>, kek: Kek, canary: Wrapped) {
    let opened = broker.kms.background().unwrap(&kek, &canary, &canary_context(kek.id)).await;
    // A busy vendor, or a quota that others use, says nothing about the key.
    if matches!(opened, Err(providers::Error::Throttled { .. })) {
        return;
    }
    let tested = opened.map(drop).map_err(|error| kms::code(&error));
    gauge!("keyfold_kek_usable", "kek" => kek.id.to_string()).set(if tested.is_ok() { 1.0 } else { 0.0 });
    let Some(state) = broker.health.observe(kek.id, tested, broker.clock.now()) else { return };
    let (kind, outcome) = match state {
        HealthState::Usable => (Kind::KekRecovered, Outcome::OK),
        HealthState::Failing => (Kind::KekFailing, tested.err().map_or(Outcome::OK, Outcome::from_static)),
    };
    let mut event = event(kind, &kek);
    event.outcome = outcome;
    let proposal = Proposal::new(kek.tenant, Change::Remark, event, kind);
    if let Err(error) = broker.committer.commit(proposal).await {
        tracing::error!(error = &error as &dyn std::error::Error, "what became of a KEK could not be recorded");
    }
}
