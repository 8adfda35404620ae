use crate::{
    Device, Error, receipt,
    state::{OpenedRestore, State},
};
use audit::event::Kind as EventKind;
use protocol::{
    approval::MatchCode,
    encoding::Base64Url,
    login::IdToken,
    messages::{Acknowledge, OpenRestore, RecordEntry, Release, Released, ReleasedRecord, RestoreOpened, RestoreState},
    names::{Kind, Text},
    passphrase,
    record::{BundleError, Context, KeySchedule, RecordName, SUITE, WrappingSecret, needs_user_secret, open_bundle},
    sealing::{Info, OpeningKey},
    transcript::Facts,
};
use secret::Secret;
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

const OPEN: &str = "invariant: a `Pending` borrows a device whose restore is open";

/// What to restore, and why.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// Which keys.
    pub selection: Selection,
    /// Why; approvers read it.
    pub reason: Text<512>,
}

/// Which keys to restore: 1 to 16.
#[derive(Debug, Clone)]
pub enum Selection {
    /// The newest of each of these kinds.
    Kinds(Vec<Kind>),
    /// These records, however old.
    Records(Vec<Uuid>),
}

/// Key material that came back.
#[derive(Debug)]
pub struct RestoredKey {
    /// The record it came from.
    pub record: Uuid,
    /// What sort of key.
    pub kind: Kind,
    /// Which of its kind.
    pub generation: u64,
    /// The material.
    pub material: Secret,
}

/// A restore that is open. With a state file it survives a restart: see [`Device::pending`].
pub struct Pending<'a>(&'a mut Device);

impl Device {
    /// Asks for keys, with a key of its own to receive them, and checks that the transcript is that of the question.
    /// Not repeated when the answer is lost. A restore that was open before is forgotten.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn restore(&mut self, asked: RestoreRequest) -> Result<Pending<'_>, Error> {
        self.open(asked, &OpeningKey::generate(), None).await
    }

    pub(crate) async fn open(
        &mut self,
        asked: RestoreRequest,
        receive: &OpeningKey,
        id_token: Option<IdToken>,
    ) -> Result<Pending<'_>, Error> {
        let (kinds, records) = match asked.selection {
            Selection::Kinds(kinds) => (kinds, Vec::new()),
            Selection::Records(records) => (Vec::new(), records),
        };
        let receive_key = Base64Url(receive.public().clone());
        let question = OpenRestore { records, kinds, receive_key, reason: asked.reason, id_token };
        let path = format!("v1/tenants/{}/restores", self.state.tenant);
        let (opened, nonce) = self.connection.post(&path, &question).await?;
        self.state.check_opened(&question, &opened, &nonce, &self.connection.thumbprint())?;
        self.state.restore = Some(OpenedRestore { opened, receive: receive.to_seed() });
        self.save()?;
        Ok(Pending(self))
    }

    /// The restore that is open, if one is.
    #[must_use]
    pub fn pending(&mut self) -> Option<Pending<'_>> {
        self.state.restore.is_some().then_some(Pending(self))
    }

    /// Restores the newest key of every kind the user has, up to the 16 that one restore covers, and acknowledges them.
    /// Where policy wants approvals, waits for them, asking every `interval`.
    ///
    /// # Errors
    /// [`Error`]; the restore stays open when the release failed.
    pub async fn restore_all(
        &mut self,
        reason: Text<512>,
        passphrase: Option<&Secret>,
        interval: Duration,
    ) -> Result<Vec<RestoredKey>, Error> {
        let mut kinds: Vec<_> = self.records().await?.into_iter().map(|entry| entry.kind).collect();
        kinds.sort();
        kinds.dedup();
        let mut pending = self.restore(RestoreRequest { selection: Selection::Kinds(kinds), reason }).await?;
        pending.approved(interval).await?;
        let keys = pending.release(passphrase).await?;
        pending.acknowledge().await?;
        Ok(keys)
    }
}

impl Pending<'_> {
    /// What the broker said when the restore was opened or last asked about.
    #[must_use]
    pub fn opened(&self) -> &RestoreOpened {
        &self.restore().opened
    }

    /// What the user is to type on another device of theirs to approve there: show it. `None` where no device can.
    #[must_use]
    pub fn match_code(&self) -> Option<MatchCode> {
        self.opened().match_code
    }

    /// Asks how far the restore is. What it is about cannot have changed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&mut self) -> Result<RestoreState, Error> {
        let now: RestoreOpened = self.0.connection.fetch(&self.path("")).await?;
        let before = self.opened();
        let same = (now.restore, now.transcript, &now.records) == (before.restore, before.transcript, &before.records);
        if !same {
            return Err(Error::Contradiction("another restore than the one opened"));
        }
        let state = now.state;
        self.0.state.restore.as_mut().expect(OPEN).opened = now;
        Ok(state)
    }

    /// Waits until the restore may be released, asking every `interval`. The broker ends it when it has waited too long.
    ///
    /// # Errors
    /// [`Error::RestoreOver`] when it ended otherwise, or any other [`Error`].
    pub async fn approved(&mut self, interval: Duration) -> Result<(), Error> {
        let mut state = self.opened().state;
        loop {
            match state {
                RestoreState::Approved | RestoreState::Releasing | RestoreState::Released => return Ok(()),
                RestoreState::Pending => tokio::time::sleep(interval).await,
                RestoreState::Acknowledged
                | RestoreState::Rejected
                | RestoreState::Failed
                | RestoreState::Expired
                | RestoreState::Revoked
                | RestoreState::Vetoed => return Err(Error::RestoreOver),
            }
            state = self.status().await?;
        }
    }

    /// Gets the keys; may be called again until they are acknowledged, as when the connection or the passphrase failed.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn release(&self, passphrase: Option<&Secret>) -> Result<Vec<RestoredKey>, Error> {
        let message = Release { transcript: self.opened().transcript };
        let released: Released = self.0.connection.post_idempotent(&self.path("/release"), &message).await?;
        let evidence = (released.receipt.as_str(), released.leaf.as_str());
        receipt::verify(&self.0.state.log, evidence, EventKind::RestoreReleased, self.opened().restore)?;
        self.0.state.open_released(self.restore(), &released, passphrase)
    }

    /// Tells the broker that the keys have arrived, which ends the restore, and forgets the key that received them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn acknowledge(self) -> Result<(), Error> {
        let message = Acknowledge { transcript: self.opened().transcript };
        self.0.connection.tell(&self.path("/ack"), &message).await?;
        let restore = self.0.state.restore.take().expect(OPEN);
        for entry in &restore.opened.records {
            self.0.state.learn(&entry.kind, entry.generation);
        }
        self.0.save()
    }

    fn restore(&self) -> &OpenedRestore {
        self.0.state.restore.as_ref().expect(OPEN)
    }

    fn path(&self, below: &str) -> String {
        format!("v1/tenants/{}/restores/{}{below}", self.0.state.tenant, self.opened().restore)
    }
}

impl State {
    /// Checks that the broker opened what was asked for, at the newest generations this device knows, and that the
    /// transcript which others will approve says the same.
    fn check_opened(
        &self,
        asked: &OpenRestore,
        opened: &RestoreOpened,
        nonce: &str,
        thumbprint: &[u8; 32],
    ) -> Result<(), Error> {
        let records: Vec<Uuid> = opened.records.iter().map(|entry| entry.record).collect();
        let facts = Facts {
            restore: opened.restore,
            tenant: &self.tenant,
            user: &self.user,
            device: self.device,
            thumbprint,
            receive_key: &asked.receive_key.0,
            records: &records,
            policy: &opened.policy.0,
            nonce,
            reason: asked.reason.as_str(),
        };
        if facts.transcript() != opened.transcript.0 {
            return Err(Error::Contradiction("a transcript that is not that of the question"));
        }
        let offered: HashSet<&Uuid> = records.iter().collect();
        let kinds: HashSet<&Kind> = opened.records.iter().map(|entry| &entry.kind).collect();
        let as_asked = if asked.kinds.is_empty() {
            offered == asked.records.iter().collect()
        } else {
            kinds == asked.kinds.iter().collect() && kinds.len() == records.len()
        };
        if !as_asked || offered.len() != records.len() {
            return Err(Error::Contradiction("other records than those asked for"));
        }
        let newest_wanted = !asked.kinds.is_empty();
        opened.records.iter().filter(|_| newest_wanted).try_for_each(|entry| self.check_generation(entry))
    }

    fn check_generation(&self, entry: &RecordEntry) -> Result<(), Error> {
        match self.newest(&entry.kind) {
            Some(known) if known > entry.generation => {
                Err(Error::Rollback { kind: entry.kind.clone(), offered: entry.generation, known })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Opens the records of `released`, which must be those that were opened, in the same order.
    fn open_released(
        &self,
        restore: &OpenedRestore,
        released: &Released,
        passphrase: Option<&Secret>,
    ) -> Result<Vec<RestoredKey>, Error> {
        let names =
            |entry: &RecordEntry| (entry.record, entry.kind.clone(), entry.generation, entry.suite, entry.device);
        let given = |record: &ReleasedRecord| {
            (record.record, record.kind.clone(), record.generation, record.suite, record.device)
        };
        if !restore.opened.records.iter().map(names).eq(released.records.iter().map(given)) {
            return Err(Error::Contradiction("other records than those opened"));
        }
        let receive = OpeningKey::from_seed(&restore.receive).map_err(|_| Error::Released)?;
        released.records.iter().map(|record| self.open_record(restore, &receive, record, passphrase)).collect()
    }

    fn open_record(
        &self,
        restore: &OpenedRestore,
        receive: &OpeningKey,
        record: &ReleasedRecord,
        passphrase: Option<&Secret>,
    ) -> Result<RestoredKey, Error> {
        let context = self.context_of(record)?;
        let info = Info::release(&context, &restore.opened.transcript.0);
        let payload = receive.open(&info, &record.sealed.0).map_err(|_| Error::Released)?;
        let s_kms = WrappingSecret::from_payload(payload, &context).map_err(|_| Error::Released)?;
        let material = open_material(record, &s_kms, &context, passphrase)?;
        Ok(RestoredKey { record: record.record, kind: record.kind.clone(), generation: record.generation, material })
    }

    fn context_of(&self, record: &ReleasedRecord) -> Result<Context, Error> {
        if record.suite != SUITE {
            return Err(Error::Contradiction("a suite that this device does not know"));
        }
        let name = RecordName {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            kind: record.kind.clone(),
            generation: record.generation,
            record: record.record,
            device: record.device,
            suite: record.suite,
        };
        Ok(name.context())
    }
}

/// A passphrase is tried on the records that were made with one.
fn open_material(
    record: &ReleasedRecord,
    s_kms: &WrappingSecret,
    context: &Context,
    passphrase: Option<&Secret>,
) -> Result<Secret, Error> {
    let bundle = record.bundle.0.as_ref();
    let s_user = match (needs_user_secret(bundle)?, passphrase) {
        (false, _) => None,
        (true, None) => return Err(Error::PassphraseNeeded(record.kind.clone())),
        (true, Some(passphrase)) => {
            Some(passphrase::user_secret(passphrase, context).map_err(|_| Error::WrongPassphrase)?)
        }
    };
    let keys = KeySchedule::new(s_kms, s_user.as_ref(), context);
    open_bundle(&keys, &record.commitment.0, bundle).map_err(|error| match error {
        BundleError::Commitment if s_user.is_some() => Error::WrongPassphrase,
        other => Error::Bundle(other),
    })
}

#[cfg(test)]
mod tests;
