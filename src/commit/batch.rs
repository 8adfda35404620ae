//! The task behind the queue: takes what waits, and writes it in one transaction.

use super::gate::{self, Applied, Change};
use super::rare::{self, Rare};
use super::tree::{Forest, Growth, NewLeaf};
use super::view::View;
use super::{BATCH, CommitError, Entry, Means, PasskeyCount, Proposal, Signer, Upkeep, Verdict, Work, people, sinks};
use crate::error::Refusal;
use crate::store::{
    self, Store, broker_keys, budgets, cosignatures, dead_letters, destructions, devices, event_counts, frozen_logs,
    locks, nonces, notices, subjects,
};
use audit::event::{Event, Exposure, Kind, Outcome};
use audit::leaf::SignedEvent;
use metrics::{counter, histogram};
use sqlx::{Any, Connection, Transaction};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub(super) struct Batcher {
    store: Store,
    signer: Signer,
    means: Means,
    forest: Forest,
}

/// What becomes of an entry: its answer, still without the proof that only the finished batch can give.
type Judged = Result<(Applied, usize), Refusal>;

impl Batcher {
    pub(super) fn new(store: Store, signer: Signer, means: Means) -> Self {
        Self { store, signer, means, forest: Forest::default() }
    }

    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Work>) {
        let mut taken = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut taken, BATCH).await > 0 {
            let mut usual = Vec::with_capacity(taken.len());
            for work in taken.drain(..) {
                match work {
                    Work::Usual(entry) => usual.push(*entry),
                    Work::Rare(entry) => {
                        self.commit_usual(std::mem::take(&mut usual)).await;
                        self.commit_rare(*entry).await;
                    }
                    Work::Passkey(count, reply) => {
                        self.commit_usual(std::mem::take(&mut usual)).await;
                        let _gone = reply.send(self.count_passkey(&count).await);
                    }
                    Work::Upkeep(upkeep, reply) => {
                        self.commit_usual(std::mem::take(&mut usual)).await;
                        let _gone = reply.send(self.do_upkeep(upkeep).await);
                    }
                }
            }
            self.commit_usual(usual).await;
        }
    }

    async fn commit_usual(&mut self, entries: Vec<Entry<Change>>) {
        let mut entries = self.with_sound_logs(entries).await;
        if entries.is_empty() {
            return;
        }
        let started = Instant::now();
        let written = self.write_usual(&mut entries).await;
        histogram!("keyfold_commit_seconds").record(started.elapsed());
        histogram!("keyfold_commit_changes").record(entries.len() as f64);
        let replies = entries.into_iter().map(|entry| entry.reply);
        self.answer(replies, written);
    }

    /// The entries whose tenants' logs can grow. A log that was altered is frozen, and takes nobody else's batch with it.
    async fn with_sound_logs<C>(&mut self, entries: Vec<Entry<C>>) -> Vec<Entry<C>> {
        let mut sound = Vec::with_capacity(entries.len());
        for entry in entries {
            match self.learn(&entry.proposal.tenant).await {
                Ok(()) => sound.push(entry),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a log cannot be appended to");
                    let _gone = entry.reply.send(Err(error));
                }
            }
        }
        sound
    }

    /// What was read from end to end and found altered is not appended to, whatever its edge says.
    async fn learn(&mut self, tenant: &str) -> Result<(), CommitError> {
        if self.means.testimony.is_doubted(tenant) {
            return Err(CommitError::LogInconsistent { tenant: tenant.into() });
        }
        self.forest.learn(&self.store, tenant, &self.signer.keys).await
    }

    async fn write_usual(&mut self, entries: &mut [Entry<Change>]) -> Result<Vec<Verdict>, CommitError> {
        let now = self.signer.clock.now();
        let mut writer = self.store.writer().await?;
        let mut transaction = begin(&mut writer).await?;
        let mut view = View::load(&mut transaction, &self.means, entries).await?;
        let mut growth = Growth::default();
        let mut judged = Vec::with_capacity(entries.len());
        let mut told = Vec::new();
        for entry in entries.iter_mut() {
            let next_index = self.forest.size(&entry.proposal.tenant);
            let passed = gate::pass(&mut entry.proposal, &mut view, next_index, now);
            if passed.is_ok() {
                told.append(&mut entry.proposal.notices);
            }
            let refused_as = refused_as(&entry.proposal, &view);
            let leaf = self.signer.leaf_of(entry, passed.as_ref().err().copied(), refused_as);
            judged.push(self.judge(&mut growth, entry, passed, leaf));
            for event in view.taken.take_follows() {
                growth.append(&mut self.forest, &entry.keys, self.signer.following(entry, &event));
            }
        }
        view.flush(&mut transaction).await?;
        if !told.is_empty() {
            notices::insert_all(&mut transaction, &told).await?;
        }
        let grown = growth.flush(&mut self.forest, &mut transaction, now).await?;
        transaction.commit().await?;
        self.means.pace.grown(grown.leaves(), Instant::now());
        Ok(judged.into_iter().map(|judged| judged.map(|(applied, place)| grown.committed(place, applied))).collect())
    }

    async fn commit_rare(&mut self, entry: Entry<Rare>) {
        if matches!(entry.proposal.change, Rare::Thaw) {
            // Where it cannot be read, the same look follows, and answers so.
            let _again = self.forest.learn_frozen(&self.store, &entry.proposal.tenant, &self.signer.keys).await;
        }
        let Some(mut entry) = self.with_sound_logs(vec![entry]).await.pop() else { return };
        let written = self.write_rare(&mut entry).await;
        self.answer(std::iter::once(entry.reply), written.map(|verdict| vec![verdict]));
    }

    async fn write_rare(&mut self, entry: &mut Entry<Rare>) -> Result<Verdict, CommitError> {
        let now = self.signer.clock.now();
        let mut writer = self.store.writer().await?;
        let mut transaction = begin(&mut writer).await?;
        let passed = rare::pass(&entry.proposal, &mut transaction, now).await?;
        if passed.is_ok() && !entry.proposal.notices.is_empty() {
            notices::insert_all(&mut transaction, &entry.proposal.notices).await?;
        }
        let leaf = self.rare_leaf(entry, passed.as_ref().err().copied());
        let mut growth = Growth::default();
        let judged = self.judge(&mut growth, entry, passed, leaf);
        let grown = growth.flush(&mut self.forest, &mut transaction, now).await?;
        transaction.commit().await?;
        self.means.pace.grown(grown.leaves(), Instant::now());
        Ok(judged.map(|(applied, place)| grown.committed(place, applied)))
    }

    /// Keys that a refused change did not store may neither sign the tenant's log nor seal what is in it: no leaf then.
    fn rare_leaf(&self, entry: &mut Entry<Rare>, refusal: Option<Refusal>) -> Option<NewLeaf> {
        if refusal.is_some() && entry.proposal.change.brings_keys() {
            return None;
        }
        let refused_as = entry.proposal.refused_as;
        self.signer.leaf_of(entry, refusal, refused_as)
    }

    fn judge<C>(
        &mut self,
        growth: &mut Growth,
        entry: &Entry<C>,
        passed: Result<Applied, Refusal>,
        leaf: Option<NewLeaf>,
    ) -> Judged {
        let place = leaf.map(|leaf| growth.append(&mut self.forest, &entry.keys, leaf));
        let outcome = if passed.is_ok() { "ok" } else { "refused" };
        counter!("keyfold_changes_total", "outcome" => outcome).increment(1);
        passed.map(|applied| (applied, place.expect("invariant: what passed has a leaf")))
    }

    async fn count_passkey(&mut self, count: &PasskeyCount) -> Result<bool, CommitError> {
        let mut writer = self.store.writer().await?;
        let mut transaction = begin(&mut writer).await?;
        let counted = people::count_passkey(&mut transaction, count).await?;
        transaction.commit().await?;
        Ok(counted)
    }

    async fn do_upkeep(&mut self, upkeep: Upkeep) -> Result<(), CommitError> {
        let mut writer = self.store.writer().await?;
        match upkeep {
            Upkeep::ForgetNonces(before) => nonces::forget_expired(&mut writer, before).await?,
            Upkeep::ForgetCounts(before) => event_counts::forget(&mut writer, before).await?,
            Upkeep::SaveProgress { sink, cursors, replays } => {
                let mut transaction = begin(&mut writer).await?;
                sinks::save_progress(&mut transaction, &sink, (&cursors, &replays)).await?;
                transaction.commit().await?;
            }
            Upkeep::KeepDeadLetter(letter) => dead_letters::insert(&mut writer, &letter).await?,
            Upkeep::RemoveDeadLetter(letter) => dead_letters::remove(&mut writer, &letter).await?,
            Upkeep::TellLock(holder, told) => {
                let mut transaction = begin(&mut writer).await?;
                locks::set_told(&mut transaction, &holder).await?;
                if !told.is_empty() {
                    notices::insert_all(&mut transaction, &told).await?;
                }
                transaction.commit().await?;
            }
            Upkeep::ForgetBudgets(before) => budgets::forget_whole(&mut writer, before).await?,
            Upkeep::RemoveNotice(id) => drop(notices::remove(&mut writer, id).await?),
            Upkeep::PostponeNotice { id, not_before } => notices::postpone(&mut writer, id, not_before).await?,
            Upkeep::StoreCosignatures(rows) => cosignatures::set(&mut writer, &rows).await?,
            Upkeep::FreezeLog(log) => {
                frozen_logs::insert(&mut writer, &log).await?;
                self.forest.forget_log(&log.tenant);
            }
            Upkeep::StoreKey(key) => broker_keys::insert(&mut writer, &key).await?,
            Upkeep::DestroyKey(id) => broker_keys::destroy(&mut writer, id).await?,
            Upkeep::Shred { kek, records } => {
                let mut transaction = begin(&mut writer).await?;
                destructions::shred(&mut transaction, kek, &records).await?;
                transaction.commit().await?;
            }
            Upkeep::RenameDevices(rows) => {
                let mut transaction = begin(&mut writer).await?;
                for row in &rows {
                    devices::replace(&mut transaction, row).await?;
                }
                transaction.commit().await?;
            }
            Upkeep::Detach { erasure, from, to } => subjects::detach(&mut writer, &erasure, (from, to)).await?,
            Upkeep::FinishErasure(id) => subjects::finish(&mut writer, id).await?,
            Upkeep::EmptyJournal => {
                if !store::empty_journal(&mut writer).await? {
                    return Err(CommitError::JournalInUse);
                }
            }
        }
        Ok(())
    }

    fn answer(
        &mut self,
        replies: impl Iterator<Item = oneshot::Sender<Result<Verdict, CommitError>>>,
        written: Result<Vec<Verdict>, CommitError>,
    ) {
        match written {
            Ok(verdicts) => {
                for (reply, verdict) in replies.zip(verdicts) {
                    let _gone = reply.send(Ok(verdict));
                }
            }
            Err(error) => {
                // Nobody knows whether the write happened: the next batch reads the heads again before it appends.
                self.forest.forget();
                counter!("keyfold_commit_failures_total").increment(1);
                tracing::error!(error = &error as &dyn std::error::Error, "a batch could not be made durable");
                for reply in replies {
                    let _gone = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// IMMEDIATE: the write lock is taken before the gate reads, so that what it saw still holds at commit.
async fn begin(writer: &mut sqlx::AnyConnection) -> Result<Transaction<'_, Any>, sqlx::Error> {
    writer.begin_with("BEGIN IMMEDIATE").await
}

/// While one request is at the provider, another that is refused must not look like the first one's outcome.
fn refused_as(proposal: &Proposal<Change>, view: &View) -> Kind {
    let restore = proposal.change.restore().and_then(|id| view.restores.get(&id));
    // A refused finish has ended its own flight by now; if one is still under way, it is another's.
    if restore.is_some_and(|restore| restore.flight.is_some()) { Kind::RestoreFetchDenied } else { proposal.refused_as }
}

impl Signer {
    /// The leaf for what the gate said: the one signed in advance, or one signed here for the rare refusal.
    fn leaf_of<C>(&self, entry: &mut Entry<C>, refusal: Option<Refusal>, refused_as: Kind) -> Option<NewLeaf> {
        if let Some(refusal) = refusal {
            if !refusal.is_recorded() {
                return None;
            }
            let mut event = entry.proposal.event.clone();
            event.kind = refused_as;
            event.outcome = Outcome::from_static(refusal.as_str());
            // What was to go out did not; what was open in the broker was.
            event.exposure = match event.exposure {
                Exposure::PlaintextInBroker => Exposure::PlaintextInBroker,
                Exposure::None | Exposure::SealedToDevice => Exposure::None,
            };
            (entry.signed, entry.sealed) = self.sign(&entry.keys, &event, &entry.subject);
        }
        let signed = (&mut entry.signed, std::mem::take(&mut entry.sealed));
        Some(new_leaf(&entry.proposal, entry.proposal.event.correlation, signed))
    }

    /// The leaf for what has happened because of the entry.
    fn following<C>(&self, entry: &Entry<C>, event: &Event) -> NewLeaf {
        let (mut signed, sealed) = self.sign(&entry.keys, event, &entry.subject);
        new_leaf(&entry.proposal, event.correlation, (&mut signed, sealed))
    }
}

fn new_leaf<C>(
    proposal: &Proposal<C>,
    correlation: Option<Uuid>,
    (signed, disclosures): (&mut SignedEvent, Vec<u8>),
) -> NewLeaf {
    NewLeaf {
        tenant: proposal.tenant.clone(),
        kind: signed.kind,
        hash: signed.hash(),
        text: std::mem::take(&mut signed.leaf),
        subject: proposal.subject.clone(),
        jti: signed.jti,
        correlation,
        disclosures,
    }
}

#[cfg(test)]
mod tests;
