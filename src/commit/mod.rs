//! The committer: every state change goes through one queue, with its gate and its leaf, in one transaction.
//!
//! Whatever waits is taken together (at most [`BATCH`] changes), so that one fsync serves all of it. A gate that says no
//! is an outcome with a leaf of its own; a database error fails the whole batch and releases nothing.

mod approvals;
mod batch;
mod gate;
mod keks;
mod people;
mod policies;
mod quotas;
mod rare;
mod release;
mod rewraps;
mod sinks;
mod tree;
mod veto;
mod view;
mod wraps;

pub use approvals::{Approvers, Decide, Proof, WRONG_CODES};
pub use gate::{Applied, Change, check_standing};
pub use keks::KekStep;
pub use policies::{PolicyStep, Succession};
pub use rare::{Rare, RewrapStep, Target};
pub use release::ReleaseRequest;
pub use sinks::SinkStep;
pub(crate) use tree::tile_roots;
pub use wraps::Rewrap;

use crate::clock::Clock;
use crate::error::{Error, Refusal};
use crate::inventory::Inventory;
use crate::keys::{KeyError, Keys, TenantKeys};
use crate::pace::Pace;
use crate::quota::Quotas;
use crate::store::broker_keys::BrokerKey;
use crate::store::cosignatures::Cosignature;
use crate::store::cursors::Cursor;
use crate::store::dead_letters::DeadLetter;
use crate::store::devices;
use crate::store::frozen_logs::FrozenLog;
use crate::store::locks::Holder;
use crate::store::nonces::SpentNonce;
use crate::store::notices::SealedNotice;
use crate::store::replays::Replay;
use crate::store::subjects::{self, Erasure};
use crate::store::{Store, StoreError};
use crate::testimony::Testimony;
use audit::event::{Event, Kind};
use audit::leaf::{SignedEvent, Stamp};
use audit::receipt::Receipt;
use audit::subject::SubjectKey;
use batch::Batcher;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Most changes that one transaction takes.
const BATCH: usize = 256;
/// Most changes that wait; more are pushed back to their callers.
const QUEUE: usize = 4_096;

/// A change could not be made durable. Whether it was is unknown; nothing was released on it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Arc<StoreError>),
    /// The tenant's log is not what its head says: it was altered, and is frozen.
    #[error("the log of tenant `{tenant}` does not match its head")]
    LogInconsistent {
        /// Whose log.
        tenant: String,
    },
    /// A witness has seen another history of the tenant's log, which is frozen until an administrator has decided.
    #[error("the log of tenant `{tenant}` is frozen: a witness has seen another history of it")]
    LogFrozen {
        /// Whose log.
        tenant: String,
    },
    /// The journal could not be emptied: somebody reads an older state of the database.
    #[error("the database's journal is in use")]
    JournalInUse,
    /// The committer has stopped.
    #[error("the broker is shutting down")]
    Stopped,
}

impl<E: Into<StoreError>> From<E> for CommitError {
    fn from(error: E) -> Self {
        Self::Database(Arc::new(error.into()))
    }
}

/// The device that a change is for; the gate wants it, and its user, active.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Whose device.
    pub user: String,
    /// The device.
    pub device: Uuid,
}

/// One change to one tenant, and the event that it is if the gate lets it pass.
#[derive(Debug)]
pub struct Proposal<C> {
    /// Whose state and log.
    pub tenant: String,
    /// The request's nonce, spent with the effect.
    pub nonce: Option<SpentNonce>,
    /// Who asks; `None` for what the broker does itself.
    pub principal: Option<Principal>,
    /// What changes.
    pub change: C,
    /// The event if it passes.
    pub event: Event,
    /// What the event becomes if it does not.
    pub refused_as: Kind,
    /// Whose key seals the disclosures; `""` is the tenant itself.
    pub subject: String,
    /// What people are told if it passes.
    pub notices: Vec<SealedNotice>,
}

impl<C> Proposal<C> {
    /// What the broker or an administrator does: no device asks, and the disclosures are the tenant's.
    #[must_use]
    pub fn new(tenant: impl Into<String>, change: C, event: Event, refused_as: Kind) -> Self {
        let (tenant, subject) = (tenant.into(), String::new());
        Self { tenant, nonce: None, principal: None, change, event, refused_as, subject, notices: Vec::new() }
    }

    /// The same, with the disclosures under the key of this person.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// The same, and if it passes, people are told.
    #[must_use]
    pub fn telling(self, notices: Vec<SealedNotice>) -> Self {
        Self { notices, ..self }
    }
}

/// A durable change.
#[derive(Debug)]
pub struct Committed {
    /// What the change found or made.
    pub applied: Applied,
    /// Its leaf.
    pub leaf: String,
    /// The leaf's index.
    pub index: u64,
    /// Proves the leaf, where it is one that devices ask to be proven.
    pub receipt: Option<Receipt>,
}

/// Upkeep that is no event.
#[derive(Debug)]
pub enum Upkeep {
    /// Forgets nonces that expired before this time.
    ForgetNonces(i64),
    /// Forgets how many events there were before this hour.
    ForgetCounts(i64),
    /// How far a sink is with its logs and replays.
    SaveProgress {
        /// Which sink.
        sink: String,
        /// Its cursors.
        cursors: Vec<Cursor>,
        /// Its replays; those that are through are removed.
        replays: Vec<Replay>,
    },
    /// A receiver refuses an event for good.
    KeepDeadLetter(DeadLetter),
    /// A receiver has taken an event that it had refused.
    RemoveDeadLetter(DeadLetter),
    /// People are told of a lock that no administrator made.
    TellLock(Holder, Vec<SealedNotice>),
    /// Forgets what was taken of quotas that were whole again before this time.
    ForgetBudgets(i64),
    /// A notice was sent.
    RemoveNotice(Uuid),
    /// A notice waits for another try.
    PostponeNotice {
        /// Which.
        id: Uuid,
        /// Unix milliseconds; no try before.
        not_before: i64,
    },
    /// What witnesses have cosigned; at least one.
    StoreCosignatures(Vec<Cosignature>),
    /// The log takes no event any more.
    FreezeLog(FrozenLog),
    /// A further key for a tenant.
    StoreKey(BrokerKey),
    /// Destroys one of the broker's own keys.
    DestroyKey(Uuid),
    /// Deletes what a destroyed KEK wrapped of these records, in one transaction.
    Shred {
        /// The KEK.
        kek: Uuid,
        /// A page of records.
        records: Vec<Uuid>,
    },
    /// Documents without the names of an erased person's devices, in place of those that are there.
    RenameDevices(Vec<devices::Row>),
    /// Takes an erased person's name off the leaves `from..to`.
    Detach {
        /// The erasure.
        erasure: Erasure,
        /// The first leaf's index.
        from: u64,
        /// The index after the last.
        to: u64,
    },
    /// Forgets who an erasure was about.
    FinishErasure(Uuid),
    /// Empties the journal beside the database, so that no copy of what was deleted stays there.
    EmptyJournal,
}

/// How often a passkey says that it has signed.
#[derive(Debug)]
pub struct PasskeyCount {
    /// Which.
    pub credential: String,
    /// When it was registered.
    pub registered: u32,
    /// Now.
    pub counter: u32,
}

/// A proposal on its way, signed for the outcome that is expected.
struct Entry<C> {
    proposal: Proposal<C>,
    signed: SignedEvent,
    sealed: Vec<u8>,
    subject: Arc<SubjectKey>,
    keys: Arc<TenantKeys>,
    reply: oneshot::Sender<Result<Verdict, CommitError>>,
}

type Verdict = Result<Committed, Refusal>;

enum Work {
    Usual(Box<Entry<Change>>),
    Rare(Box<Entry<Rare>>),
    Passkey(PasskeyCount, oneshot::Sender<Result<bool, CommitError>>),
    Upkeep(Upkeep, oneshot::Sender<Result<(), CommitError>>),
}

/// What the committer works with, beside the database.
#[derive(Debug, Clone)]
pub struct Means {
    /// The only `now`.
    pub clock: Arc<Clock>,
    /// What signs and seals.
    pub keys: Arc<Keys>,
    /// What opens the documents of devices.
    pub inventory: Arc<Inventory>,
    /// Which logs are doubted.
    pub testimony: Arc<Testimony>,
    /// Who is told how fast the logs grow.
    pub pace: Arc<Pace>,
    /// How many restores users and tenants may ask for.
    pub quotas: Arc<Quotas>,
}

/// The one way to change state.
#[derive(Debug, Clone)]
pub struct Committer {
    queue: mpsc::Sender<Work>,
    clock: Arc<Clock>,
    keys: Arc<Keys>,
    boot: Uuid,
}

impl Committer {
    /// Starts the task that writes; it ends when every `Committer` is dropped and the queue is empty.
    #[must_use]
    pub fn start(store: Store, means: Means) -> (Self, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let committer = Self { queue, clock: means.clock.clone(), keys: means.keys.clone(), boot: Uuid::now_v7() };
        let batcher = Batcher::new(store, committer.signer(), means);
        (committer, tokio::spawn(batcher.run(waiting)))
    }

    /// Makes one of the frequent changes; answers when it is durable.
    pub async fn commit(&self, mut proposal: Proposal<Change>) -> Result<Committed, Error> {
        let (keys, subject) = self.keys_for(&mut proposal).await?;
        self.enqueue(proposal, keys, subject, Work::Usual).await
    }

    /// Makes one of the rare changes, in a transaction of its own.
    pub async fn commit_rare(&self, mut proposal: Proposal<Rare>) -> Result<Committed, Error> {
        let (keys, subject) = self.keys_for(&mut proposal).await?;
        self.enqueue(proposal, keys, subject, Work::Rare).await
    }

    /// As [`Self::commit_rare`], with keys that this very change stores.
    pub async fn commit_with_keys(
        &self,
        proposal: Proposal<Rare>,
        keys: Arc<TenantKeys>,
        subject: Arc<SubjectKey>,
    ) -> Result<Committed, Error> {
        self.enqueue(proposal, keys, subject, Work::Rare).await
    }

    /// Counts a signature, one after the other: of two with the same count, one is the second. `false` for that one.
    pub async fn count_passkey(&self, count: PasskeyCount) -> Result<bool, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Work::Passkey(count, reply)).await.map_err(|_| CommitError::Stopped)?;
        answer.await.map_err(|_| CommitError::Stopped)?
    }

    /// Does upkeep in its turn.
    pub async fn upkeep(&self, upkeep: Upkeep) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Work::Upkeep(upkeep, reply)).await.map_err(|_| CommitError::Stopped)?;
        answer.await.map_err(|_| CommitError::Stopped)?
    }

    /// Whether the task that writes has ended: nothing can be changed any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.queue.is_closed()
    }

    async fn keys_for<C>(&self, proposal: &mut Proposal<C>) -> Result<(Arc<TenantKeys>, Arc<SubjectKey>), KeyError> {
        let keys = self.keys.of_tenant(&proposal.tenant).await?;
        let subject = match self.keys.of_subject(&proposal.tenant, &proposal.subject).await {
            // An erased person is still revoked, refused and swept; what is said about them then, nobody can read.
            Err(KeyError::SubjectErased) => {
                proposal.subject = subjects::nobody();
                Keys::nobodys_subject()?
            }
            subject => subject?,
        };
        Ok((keys, subject))
    }

    fn signer(&self) -> Signer {
        Signer { clock: self.clock.clone(), keys: self.keys.clone(), boot: self.boot }
    }

    /// Signs for the expected outcome here, in the caller's task, so that signatures are made in parallel.
    async fn enqueue<C>(
        &self,
        proposal: Proposal<C>,
        keys: Arc<TenantKeys>,
        subject: Arc<SubjectKey>,
        work: fn(Box<Entry<C>>) -> Work,
    ) -> Result<Committed, Error> {
        let (signed, sealed) = self.signer().sign(&keys, &proposal.event, &subject);
        let (reply, answer) = oneshot::channel();
        let entry = Entry { proposal, signed, sealed, subject, keys, reply };
        self.queue.send(work(Box::new(entry))).await.map_err(|_| CommitError::Stopped)?;
        let verdict = answer.await.map_err(|_| CommitError::Stopped)??;
        Ok(verdict?)
    }
}

/// Turns events into leaves, for the expected outcome and for a refusal alike.
struct Signer {
    clock: Arc<Clock>,
    keys: Arc<Keys>,
    boot: Uuid,
}

impl Signer {
    fn sign(&self, keys: &TenantKeys, event: &Event, subject: &SubjectKey) -> (SignedEvent, Vec<u8>) {
        let stamp = Stamp {
            origin: keys.log.verifier().origin().clone(),
            boot: self.boot,
            at_ms: self.clock.now().unsigned_abs(),
        };
        let signed = event.sign(&stamp, &self.keys.event);
        let sealed = subject.seal(signed.jti, &signed.disclosures);
        (signed, sealed)
    }
}
