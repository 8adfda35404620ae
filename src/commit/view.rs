//! What one transaction has loaded for its batch, and what it will write: set by set, not row by row.

use super::quotas::Taken;
use super::{Entry, Means, gate::Change};
use crate::error::Refusal;
use crate::inventory::Device;
use crate::store::approvals::{self, Approval, Approver};
use crate::store::devices::Membership;
use crate::store::locks::Holder;
use crate::store::nonces::{self, SpentNonce};
use crate::store::records::{self, Line, Record};
use crate::store::restores::{self, Restore};
use crate::store::tenants::{self, Tenant};
use crate::store::wraps::{self, Wrap};
use crate::store::{Connection, StoreError, admins, keks};
use audit::event::Kind;
use protocol::approval::Decision;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use uuid::Uuid;

/// The state that a batch is about, as of its transaction.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) devices: HashMap<Uuid, (Device, Membership)>,
    pub(super) keks: HashMap<Uuid, keks::Kek>,
    pub(super) restores: HashMap<Uuid, Restore>,
    pub(super) newest: HashMap<Line, u64>,
    pub(super) taken_records: HashSet<Uuid>,
    pub(super) new_records: Vec<Record>,
    pub(super) new_wraps: Vec<Wrap>,
    pub(super) tenants: HashMap<String, Tenant>,
    /// All that opens each record that is to be wrapped anew, in the order of slots.
    pub(super) wraps: HashMap<Uuid, Vec<Wrap>>,
    pub(super) rewrapped: BTreeSet<Uuid>,
    pub(super) changed_restores: BTreeSet<Uuid>,
    /// The current version of each administrator whose approval is given, or counts.
    pub(super) admin_versions: HashMap<Uuid, u64>,
    /// Who has approved what: restore and approver.
    pub(super) approved: HashSet<(Uuid, Uuid)>,
    pub(super) taken: Taken,
    new_approvals: BTreeMap<(Uuid, Uuid), Approval>,
    new_restores: BTreeSet<Uuid>,
    unspent: HashSet<[u8; 16]>,
}

/// What a batch needs to see; sorted, so that several brokers lock in one order.
#[derive(Debug, Default)]
struct Wanted {
    devices: BTreeSet<Uuid>,
    keks: BTreeSet<Uuid>,
    restores: BTreeSet<Uuid>,
    lines: BTreeSet<Line>,
    records: BTreeSet<Uuid>,
    tenants: BTreeSet<String>,
    wraps: BTreeSet<Uuid>,
    admins: BTreeSet<Uuid>,
    /// Restores on which somebody decides.
    decided: BTreeSet<Uuid>,
    vetoed: BTreeSet<Uuid>,
    /// Whose quotas are looked at.
    users: BTreeSet<Holder>,
    nonces: BTreeMap<[u8; 16], i64>,
}

impl View {
    /// Reads all that these entries' gates look at.
    pub(super) async fn load(
        db: &mut Connection,
        means: &Means,
        entries: &[Entry<Change>],
    ) -> Result<Self, StoreError> {
        let mut wanted = Wanted::by(entries);
        let mut view = Self::default();
        if let Some(ids) = some(&wanted.devices) {
            view.devices = by(means.inventory.find_all(db, &ids).await?, |(device, _)| device.id);
        }
        if let Some(ids) = some(&wanted.keks) {
            view.keks = by(keks::find_all(db, &ids).await?, |kek| kek.id);
        }
        if let Some(ids) = some(&wanted.restores) {
            view.restores = by(restores::find_all(db, &ids).await?, |restore| restore.id);
            wanted.users.extend(
                wanted.decided.iter().chain(&wanted.vetoed).filter_map(|id| Some(view.restores.get(id)?.holder())),
            );
        }
        view.taken = Taken::load(db, &means.quotas, &wanted.users).await?;
        if let Some(lines) = some(&wanted.lines) {
            view.newest = records::newest_generations(db, &lines).await?.into_iter().collect();
        }
        if let Some(ids) = some(&wanted.records) {
            view.taken_records = records::taken_among(db, &ids).await?.into_iter().collect();
        }
        if let Some(ids) = some(&wanted.tenants) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            view.tenants = by(tenants::find_all(db, &ids).await?, |tenant| tenant.id.clone());
        }
        if let Some(ids) = some(&wanted.wraps) {
            for wrap in wraps::of_records(db, &ids).await? {
                view.wraps.entry(wrap.record).or_default().push(wrap);
            }
        }
        if let Some(ids) = some(&wanted.admins) {
            view.admin_versions = admins::versions(db, &ids).await?.into_iter().collect();
        }
        if let Some(ids) = some(&wanted.decided) {
            view.approved = approvals::approvers_of(db, &ids).await?.into_iter().collect();
        }
        let nonces: Vec<SpentNonce> = wanted.nonces.into_iter().collect();
        if !nonces.is_empty() {
            // Whatever the gates say, each nonce is spent.
            view.unspent = nonces::spend(db, &nonces).await?;
        }
        Ok(view)
    }

    /// Lets the first who brings a nonce have it.
    pub(super) fn spend(&mut self, nonce: SpentNonce) -> Result<(), Refusal> {
        if self.unspent.remove(&nonce.0) { Ok(()) } else { Err(Refusal::NonceSpent) }
    }

    pub(super) fn insert_restore(&mut self, restore: Restore) {
        self.new_restores.insert(restore.id);
        self.restores.insert(restore.id, restore);
    }

    pub(super) fn keep_approval(&mut self, approval: Approval) {
        let key = (approval.restore, approval.approver.id());
        if approval.decision == Decision::Approve {
            self.approved.insert(key);
        }
        self.new_approvals.insert(key, approval);
    }

    /// Writes what changed.
    pub(super) async fn flush(mut self, db: &mut Connection) -> Result<(), StoreError> {
        std::mem::take(&mut self.taken).flush(db).await?;
        if !self.new_records.is_empty() {
            records::insert_all(db, &self.new_records).await?;
        }
        self.flush_wraps(db).await?;
        let new = self.take_restores(|view| &view.new_restores);
        if !new.is_empty() {
            restores::insert_all(db, &new).await?;
        }
        let changed = self.take_restores(|view| &view.changed_restores);
        if !changed.is_empty() {
            restores::update_all(db, &changed).await?;
        }
        if !self.new_approvals.is_empty() {
            let approvals: Vec<Approval> = self.new_approvals.into_values().collect();
            approvals::store_all(db, &approvals).await?;
        }
        Ok(())
    }

    async fn flush_wraps(&self, db: &mut Connection) -> Result<(), StoreError> {
        if let Some(ids) = some(&self.rewrapped) {
            wraps::delete_of(db, &ids).await?;
        }
        let rewrapped = self.rewrapped.iter().filter_map(|id| self.wraps.get(id)).flatten();
        let wraps: Vec<&Wrap> = self.new_wraps.iter().chain(rewrapped).collect();
        if wraps.is_empty() { Ok(()) } else { wraps::insert_all(db, &wraps).await }
    }

    fn take_restores(&mut self, which: fn(&Self) -> &BTreeSet<Uuid>) -> Vec<Restore> {
        let ids: Vec<Uuid> = which(self).iter().copied().collect();
        ids.iter().filter_map(|id| self.restores.remove(id)).collect()
    }
}

fn some<T: Clone>(set: &BTreeSet<T>) -> Option<Vec<T>> {
    (!set.is_empty()).then(|| set.iter().cloned().collect())
}

fn by<K: Eq + Hash, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, V> {
    rows.into_iter().map(|row| (key(&row), row)).collect()
}

impl Wanted {
    fn by(entries: &[Entry<Change>]) -> Self {
        let mut wanted = Self::default();
        for Entry { proposal, .. } in entries {
            wanted.nonces.extend(proposal.nonce);
            if let Some(principal) = &proposal.principal {
                wanted.devices.insert(principal.device);
            }
            if proposal.event.kind == Kind::RestoreRequested {
                wanted.users.insert(Holder::user(&proposal.tenant, &proposal.subject));
            }
            wanted.add(&proposal.tenant, &proposal.change);
        }
        wanted
    }

    fn add(&mut self, tenant: &str, change: &Change) {
        self.restores.extend(change.restore());
        match change {
            Change::StoreRecord(record, wraps) => {
                self.keks.extend(wraps.iter().map(|wrap| wrap.kek));
                self.records.insert(record.id);
                self.lines.insert((record.tenant.clone(), record.user.clone(), record.kind.clone()));
            }
            Change::Rewrap(rewrap) => {
                self.keks.extend(rewrap.from.iter().chain(&rewrap.to).map(|wrap| wrap.kek));
                self.tenants.insert(tenant.to_owned());
                self.wraps.insert(rewrap.record);
            }
            Change::OpenRestore(_, login) => self.nonces.extend(*login),
            Change::BeginRelease(request)
            | Change::FinishRelease(request, _)
            | Change::FetchAgain(request)
            | Change::Acknowledge(request) => {
                self.keks.extend(&request.keks);
                self.admins.extend(request.approvers.admins.iter().map(|(id, _)| id));
                self.devices.extend(&request.approvers.devices);
            }
            Change::Decide(decide) => {
                self.decided.insert(decide.approval.restore);
                match decide.approval.approver {
                    Approver::Admin(id) => self.admins.insert(id),
                    Approver::Device(id) => self.devices.insert(id),
                };
            }
            Change::Veto(restore) => {
                self.vetoed.insert(*restore);
            }
            Change::Refuse(..) | Change::Remark | Change::AbortRelease { .. } | Change::Expire(_) => {}
        }
    }
}
