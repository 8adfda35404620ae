use crate::{Device, Error, Proven, receipt, state::State};
use audit::event::Kind as EventKind;
use protocol::{
    encoding::Base64Url,
    messages::{Problem, Wrap, Wrapped},
    names::Kind,
    passphrase,
    record::{KeySchedule, RecordName, SUITE, WrappingSecret, seal_bundle},
    sealing::{Info, seal},
};
use secret::Secret;
use uuid::Uuid;

/// How often a wrap is made anew because another device was faster or the ingress key changed.
const ATTEMPTS: usize = 4;

/// Key material that is kept, and proven to be.
#[derive(Debug, Clone)]
pub struct BackedUp {
    /// The record's id.
    pub record: Uuid,
    /// Its generation: one more than the newest before.
    pub generation: u64,
    /// That the log says so.
    pub proven: Proven,
}

impl Device {
    /// Backs up 1 to 65,536 bytes of key material as the newest generation of `kind`, under the customer's key and, where
    /// given, a passphrase that nobody can recover.
    ///
    /// # Errors
    /// [`Error`]; on [`Error::Receipt`] the broker may hold the record all the same.
    pub async fn backup(
        &mut self,
        kind: &Kind,
        material: &Secret,
        passphrase: Option<&Secret>,
    ) -> Result<BackedUp, Error> {
        let mut attempts = 1;
        loop {
            let wrap = self.state.wrap(kind, material, passphrase)?;
            let path = format!("v1/tenants/{}/records", self.state.tenant);
            match self.connection.post_idempotent::<Wrapped>(&path, &wrap).await {
                Err(error) if error.has_code(Problem::STALE_GENERATION) && attempts < ATTEMPTS => {
                    self.learn_generations().await?;
                }
                Err(error) if error.has_code(Problem::STALE_INGRESS) && attempts < ATTEMPTS => {
                    self.status().await?;
                }
                answer => return self.finish_backup(&wrap, &answer?),
            }
            attempts += 1;
        }
    }

    fn finish_backup(&mut self, wrap: &Wrap, wrapped: &Wrapped) -> Result<BackedUp, Error> {
        if (wrapped.record, wrapped.generation) != (wrap.record, wrap.generation) {
            return Err(Error::Contradiction("another record than the one wrapped"));
        }
        let evidence = (wrapped.receipt.as_str(), wrapped.leaf.as_str());
        let proven = receipt::verify(&self.state.log, evidence, EventKind::RecordWrapped, wrap.record)?;
        self.state.learn(&wrap.kind, wrap.generation);
        self.save()?;
        Ok(BackedUp { record: wrapped.record, generation: wrapped.generation, proven })
    }

    async fn learn_generations(&mut self) -> Result<(), Error> {
        for entry in self.records().await? {
            self.state.learn(&entry.kind, entry.generation);
        }
        self.save()
    }
}

impl State {
    /// A new record of the generation after the newest that is known.
    pub(crate) fn wrap(&self, kind: &Kind, material: &Secret, passphrase: Option<&Secret>) -> Result<Wrap, Error> {
        let name = RecordName {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            kind: kind.clone(),
            generation: self.newest(kind).unwrap_or(0).saturating_add(1),
            record: Uuid::new_v4(),
            device: self.device,
            suite: SUITE,
        };
        let context = name.context();
        let s_user = passphrase.map(|passphrase| passphrase::user_secret(passphrase, &context));
        let s_user = s_user.transpose().map_err(|_| Error::WrongPassphrase)?;
        let s_kms = WrappingSecret::generate();
        let keys = KeySchedule::new(&s_kms, s_user.as_ref(), &context);
        let sealed = seal(&self.ingress.key.0, &Info::wrap(&context), &s_kms.payload(&context))
            .expect("invariant: a wrapping secret and its context are 64 bytes");
        let bundle = seal_bundle(&keys, material)?;
        Ok(Wrap {
            record: name.record,
            kind: name.kind,
            generation: name.generation,
            suite: name.suite,
            ingress: self.ingress.id.clone(),
            sealed: Base64Url(sealed),
            commitment: Base64Url(*keys.commitment()),
            bundle: Base64Url(bundle.try_into().expect("invariant: a bundle is not longer than a bundle may be")),
        })
    }
}
