//! How far witnesses have cosigned each log in this run, and whether a release may go on. What an earlier run knew counts
//! for nothing: the database may have been put back since.

use crate::error::Error;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// What the intent of a restore must be before a key is unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// On the broker's disk.
    Durable,
    /// In a checkpoint that witnesses have cosigned, too.
    Witnessed,
}

/// The size that each witness has cosigned, by tenant.
type Cosigned = HashMap<String, HashMap<Arc<str>, u64>>;

/// Who must have seen a log before it counts.
#[derive(Debug)]
pub struct Quorum {
    requires: Requirement,
    tenants: BTreeMap<String, Requirement>,
    witnesses: usize,
    deadline: Duration,
    cosigned: watch::Sender<Cosigned>,
    /// How many releases of each tenant wait.
    waiting: Mutex<HashMap<String, usize>>,
    /// Changes when another release waits.
    asked: watch::Sender<()>,
}

impl Quorum {
    /// `requires` holds for the tenants that `tenants` does not name; as many `witnesses` must cosign within `deadline`.
    #[must_use]
    pub fn new(
        requires: Requirement,
        tenants: BTreeMap<String, Requirement>,
        witnesses: usize,
        deadline: Duration,
    ) -> Self {
        let (cosigned, asked) = (watch::Sender::default(), watch::Sender::default());
        Self { requires, tenants, witnesses, deadline, cosigned, waiting: Mutex::default(), asked }
    }

    /// Answers when the event at `index` counts for a release: at once, or when enough witnesses have cosigned it.
    ///
    /// # Errors
    /// [`Error::WitnessUnavailable`] when they have not in time.
    pub async fn reached(&self, tenant: &str, index: u64) -> Result<(), Error> {
        match self.tenants.get(tenant).unwrap_or(&self.requires) {
            Requirement::Durable => return Ok(()),
            Requirement::Witnessed => {}
        }
        let _waiting = Waiting::new(self, tenant);
        let mut cosigned = self.cosigned.subscribe();
        let enough = cosigned.wait_for(|cosigned| {
            let sizes = cosigned.get(tenant).into_iter().flat_map(HashMap::values);
            sizes.filter(|size| **size > index).count() >= self.witnesses
        });
        match timeout(self.deadline, enough).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::WitnessUnavailable),
        }
    }

    /// How many witnesses must cosign.
    #[must_use]
    pub fn witnesses(&self) -> usize {
        self.witnesses
    }

    /// A witness has cosigned the tenant's log up to `size`.
    pub fn cosigned(&self, tenant: &str, witness: &Arc<str>, size: u64) {
        self.cosigned.send_modify(|cosigned| {
            cosigned.entry(tenant.to_owned()).or_default().insert(witness.clone(), size);
        });
    }

    /// Whether a release of the tenant waits.
    #[must_use]
    pub fn is_awaited(&self, tenant: &str) -> bool {
        self.waiting().contains_key(tenant)
    }

    /// Changes whenever another release waits.
    #[must_use]
    pub fn asked(&self) -> watch::Receiver<()> {
        self.asked.subscribe()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.waiting.lock().expect("invariant: nothing panics while holding this lock")
    }
}

/// A release that waits, until this is dropped.
struct Waiting<'a> {
    quorum: &'a Quorum,
    tenant: &'a str,
}

impl<'a> Waiting<'a> {
    fn new(quorum: &'a Quorum, tenant: &'a str) -> Self {
        *quorum.waiting().entry(tenant.to_owned()).or_default() += 1;
        quorum.asked.send_replace(());
        Self { quorum, tenant }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.quorum.waiting();
        if let Some(count) = waiting.get_mut(self.tenant) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Quorum, Requirement};
    use crate::error::Error;
    use std::sync::Arc;
    use std::time::Duration;

    fn quorum(deadline: u64) -> Quorum {
        let tenants = [("open".to_owned(), Requirement::Durable)].into();
        Quorum::new(Requirement::Witnessed, tenants, 2, Duration::from_millis(deadline))
    }

    #[tokio::test]
    async fn as_many_witnesses_as_asked_for_must_have_the_event_itself() {
        let quorum = quorum(50);
        let [one, two]: [Arc<str>; 2] = ["one".into(), "two".into()];
        let late = |reached| matches!(reached, Err(Error::WitnessUnavailable));
        assert!(late(quorum.reached("acme", 7).await));
        quorum.cosigned("acme", &one, 8);
        quorum.cosigned("acme", &one, 9);
        quorum.cosigned("acme", &two, 7);
        quorum.cosigned("other", &two, 8);
        assert!(late(quorum.reached("acme", 7).await), "index 7 is in a tree of 8, not of 7");
        quorum.cosigned("acme", &two, 8);
        assert!(quorum.reached("acme", 7).await.is_ok());
        assert!(late(quorum.reached("acme", 8).await));
        assert!(quorum.reached("open", 99).await.is_ok());
        assert!(!quorum.is_awaited("acme"));
    }

    #[tokio::test]
    async fn who_waits_is_known_and_woken() {
        let quorum = Arc::new(quorum(60_000));
        let mut asked = quorum.asked();
        let waits = tokio::spawn({
            let quorum = quorum.clone();
            async move { quorum.reached("acme", 0).await }
        });
        asked.changed().await.unwrap();
        assert!(quorum.is_awaited("acme"));
        for witness in ["one", "two"] {
            quorum.cosigned("acme", &witness.into(), 1);
        }
        assert!(waits.await.unwrap().is_ok());
        assert!(!quorum.is_awaited("acme"));
    }
}
