//! Which policies are in force for whom. The database says which version; it counts only where the newest event of the
//! tenant's log that tells of a change, signed, names the same document. In doubt nothing is decided.

mod version;

pub use version::PolicyVersion;

use crate::keys::{KeyError, Keys};
use crate::store::policy_versions::{self, PolicyState};
use crate::store::{Connection, Store, StoreError, log, tenants};
use crate::testimony::Testimony;
use audit::event::{Event, Kind};
use audit::leaf::{self, LeafError};
use policies::{PolicyError, PolicySet};
use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use tokio::sync::Mutex;

/// How often the database is asked again where it changes in between.
const TRIES: usize = 3;

/// Policies in force.
#[derive(Debug)]
pub struct Rules {
    /// The tenant's version; `None`: the defaults.
    pub version: Option<u64>,
    /// What decides.
    pub set: PolicySet,
    /// What events call it.
    pub digest: [u8; 32],
}

/// Policies in force, and the index of the event that tells of them; `None` where nothing was ever changed.
type Verified = (Option<u64>, Arc<Rules>);
/// By tenant.
type Kept = HashMap<String, Verified>;

/// Nobody can say which policies are in force: nothing is decided.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The log does not say that these policies are in force: the database was altered.
    #[error("the log does not tell of the policies that the database names")]
    Unlogged,
    /// What the log says of it is not signed by this broker.
    #[error("an event of the log is not this broker's")]
    Leaf(#[from] LeafError),
    /// This program does not take the text any more.
    #[error("the policies in force cannot be read")]
    Text(#[from] Box<PolicyError>),
    /// The document was altered.
    #[error("the document of the policies does not open")]
    Keys(#[from] KeyError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// The policies in force, each verified once and kept until others follow.
#[derive(Debug)]
pub struct Rulebook {
    keys: Arc<Keys>,
    store: Store,
    default: Arc<Rules>,
    testimony: Arc<Testimony>,
    kept: RwLock<Kept>,
    /// One text at a time: each takes much stack, and memory is locked.
    reading: Mutex<()>,
}

impl Rulebook {
    /// Knows nothing but what holds where a tenant has set nothing.
    #[must_use]
    pub fn new(keys: Arc<Keys>, store: Store, testimony: Arc<Testimony>, default: PolicySet) -> Self {
        let default = Arc::new(Rules { version: None, digest: default.digest(), set: default });
        Self { keys, store, default, testimony, kept: RwLock::default(), reading: Mutex::default() }
    }

    /// What holds where a tenant has set nothing.
    #[must_use]
    pub fn default_rules(&self) -> &Arc<Rules> {
        &self.default
    }

    /// The policies of a tenant whose version in force was just read. Where it has changed since, those that are in force
    /// now: the gate compares.
    pub async fn of(&self, tenant: &str, version: Option<u64>) -> Result<Arc<Rules>, RulesError> {
        match self.kept(tenant).filter(|rules| rules.version == version) {
            Some(rules) => Ok(rules),
            None => self.in_force(tenant).await,
        }
    }

    /// The policies in force, where nobody has just read which version that is.
    pub async fn current(&self, tenant: &str) -> Result<Arc<Rules>, RulesError> {
        self.of(tenant, self.stated(tenant).await?).await
    }

    /// The policies in force, verified anew.
    pub async fn in_force(&self, tenant: &str) -> Result<Arc<Rules>, RulesError> {
        let verified = self.verified(tenant).await;
        match &verified {
            Ok(verified) => drop(self.write().insert(tenant.to_owned(), verified.clone())),
            Err(error) => {
                let error = error as &dyn std::error::Error;
                tracing::error!(tenant, error, "nobody can say which policies are in force; nothing is released");
            }
        }
        verified.map(|(_, rules)| rules)
    }

    /// Reads and validates a text.
    pub async fn read(&self, text: String) -> Result<PolicySet, Box<PolicyError>> {
        let _turn = self.reading.lock().await;
        let read = tokio::task::spawn_blocking(move || PolicySet::parse(&text).map_err(Box::new)).await;
        read.expect("invariant: reading a text does not panic, and nothing aborts it")
    }

    async fn verified(&self, tenant: &str) -> Result<Verified, RulesError> {
        for _ in 1..TRIES {
            let version = self.stated(tenant).await?;
            match self.verify(tenant, version).await {
                Err(RulesError::Unlogged | RulesError::Keys(_)) if self.stated(tenant).await? != version => {}
                done => return done,
            }
        }
        let version = self.stated(tenant).await?;
        self.verify(tenant, version).await
    }

    async fn stated(&self, tenant: &str) -> Result<Option<u64>, StoreError> {
        Ok(tenants::find(&mut *self.store.reader().await?, tenant).await?.and_then(|tenant| tenant.policy))
    }

    async fn verify(&self, tenant: &str, version: Option<u64>) -> Result<Verified, RulesError> {
        let mut db = self.store.reader().await?;
        let (index, told) = self.told(&mut db, tenant).await?.unzip();
        if index < self.testimony.newest_policies(tenant) {
            return Err(RulesError::Unlogged);
        }
        let Some(version) = version else {
            return if told.is_none() { Ok((None, self.default.clone())) } else { Err(RulesError::Unlogged) };
        };
        let row = policy_versions::find(&mut db, tenant, version).await?.ok_or(RulesError::Unlogged)?;
        drop(db);
        let document = PolicyVersion::open(&self.keys, &row)?;
        let told = told.ok_or(RulesError::Unlogged)?;
        let same = told.correlation == Some(document.id) && told.policy_digest == Some(document.digest);
        if !same || document.state != PolicyState::Active {
            return Err(RulesError::Unlogged);
        }
        let set = self.read(document.text).await?;
        Ok((index, Arc::new(Rules { version: Some(version), digest: set.digest(), set })))
    }

    /// The newest event that tells of other policies, with its index, if it is this broker's.
    async fn told(&self, db: &mut Connection, tenant: &str) -> Result<Option<(u64, Event)>, RulesError> {
        let Some(newest) = log::newest_policy_change(db, tenant).await? else { return Ok(None) };
        Ok(Some((newest.index, self.event(tenant, &newest, Kind::PolicyChanged)?)))
    }

    /// Whether the log tells that this version was withdrawn: an older document of it may have been put back.
    pub async fn is_withdrawn(&self, version: &PolicyVersion) -> Result<bool, RulesError> {
        if self.testimony.is_withdrawn(&version.tenant, version.id) {
            return Ok(true);
        }
        let leaves = log::withdrawn_policies(&mut *self.store.reader().await?, &version.tenant).await?;
        for leaf in leaves {
            let event = self.event(&version.tenant, &leaf, Kind::PolicyWithdrawn)?;
            if event.correlation == Some(version.id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn event(&self, tenant: &str, stored: &log::Leaf, kind: Kind) -> Result<Event, RulesError> {
        let opened = leaf::open(&stored.text, &[] as &[&str], &[self.keys.event.public_key().clone()])?;
        let own = opened.origin == self.keys.origin(tenant)? && opened.event.kind == kind;
        if own { Ok(opened.event) } else { Err(RulesError::Unlogged) }
    }

    /// Those kept, unless the log is known to tell of newer ones.
    fn kept(&self, tenant: &str) -> Option<Arc<Rules>> {
        let kept = self.kept.read().expect("invariant: nothing panics while holding this lock");
        let (index, rules) = kept.get(tenant)?;
        (*index >= self.testimony.newest_policies(tenant)).then(|| rules.clone())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().expect("invariant: nothing panics while holding this lock")
    }
}
