//! A restore with all that decides on it.

use crate::broker::Broker;
use crate::error::Error;
use crate::inventory::Device;
use crate::ops::circumstances::Circumstances;
use crate::ops::standing::{Account, Asking};
use crate::ops::wrap::user_id;
use crate::rulebook::Rules;
use crate::store::devices::Membership;
use crate::store::records::{self, RecordSummary};
use crate::store::restores::{self, Restore};
use crate::store::{Connection, StoreError};
use policies::RecordFacts;
use protocol::encoding::from_json;
use protocol::jws::PublicJwk;
use protocol::sealing::SealingKey;
use protocol::transcript::{Facts, Transcript};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// A restore, the device that asked, and what it asked for.
#[derive(Debug)]
pub struct Asked {
    /// The restore as it is stored.
    pub restore: Restore,
    /// What decides.
    pub rules: Arc<Rules>,
    /// The device that asked.
    pub device: Device,
    /// What that device belongs to.
    pub membership: Membership,
    /// Who it is for.
    pub(super) account: Account,
    /// Under which circumstances it is judged.
    pub circumstances: Circumstances,
    /// The records, in the transcript's order, each with whether it is the newest of its kind.
    pub records: Vec<(RecordSummary, bool)>,
}

impl Asked {
    /// The restore of this id with all that belongs to it, if it is this tenant's.
    pub(super) async fn load(
        broker: &Broker,
        db: &mut Connection,
        rules: Arc<Rules>,
        (tenant, id): (&str, Uuid),
    ) -> Result<Option<Self>, Error> {
        let found = restores::find(db, id).await?.filter(|restore| restore.tenant == tenant);
        let Some(restore) = found else { return Ok(None) };
        let asking =
            broker.inventory.find(db, restore.device).await?.ok_or(StoreError::Corrupt { column: "device" })?;
        Self::with(broker, db, rules, (restore, asking)).await.map(Some)
    }

    /// This restore of this device, with its records, as it was asked for.
    pub(super) async fn with(
        broker: &Broker,
        db: &mut Connection,
        rules: Arc<Rules>,
        (restore, (device, membership)): (Restore, (Device, Membership)),
    ) -> Result<Self, Error> {
        let owner = (&*restore.tenant, &*restore.user);
        let mut records = records::of_user_among(db, owner, &restore.records).await?;
        records.sort_by_key(|(record, _)| restore.records.iter().position(|id| *id == record.id));
        let account = Account::load(broker, db, owner, rules.set.asks_for_reporting_lines()).await?;
        let circumstances = Circumstances::when_asked(&broker.keys, &restore)?;
        Ok(Self { restore, rules, device, membership, account, circumstances, records })
    }

    /// What it is about, in one word for each sort of key.
    pub fn kinds(&self) -> Vec<&str> {
        let kinds: BTreeSet<&str> = self.records.iter().map(|(record, _)| &*record.kind).collect();
        kinds.into_iter().collect()
    }

    pub(super) fn asking(&self) -> Asking<'_> {
        let Self { device, membership, account, circumstances, .. } = self;
        Asking { device, membership, account, circumstances }
    }

    pub(super) fn facts(&self) -> Vec<RecordFacts<'_>> {
        self.records.iter().map(|(record, newest)| facts(record, *newest)).collect()
    }
}

/// A record as policies know it.
pub(super) fn facts(record: &RecordSummary, newest: bool) -> RecordFacts<'_> {
    RecordFacts { owner: &record.user, kind: &record.kind, generation: record.generation, newest }
}

/// The transcript of what is stored. Whoever approved something else has signed another one.
pub(super) fn transcript_of(restore: &Restore, device: &Device) -> Result<Transcript, Error> {
    let corrupt = |column| StoreError::Corrupt { column };
    let key: PublicJwk = from_json(device.jwk.as_bytes()).map_err(|_| corrupt("jwk"))?;
    let receive_key = SealingKey::try_from(restore.receive_key.clone()).map_err(|_| corrupt("receive_key"))?;
    let facts = Facts {
        restore: restore.id,
        tenant: &restore.tenant.parse().map_err(|_| corrupt("tenant"))?,
        user: &user_id(&restore.user)?,
        device: device.id,
        thumbprint: &key.thumbprint(),
        receive_key: &receive_key,
        records: &restore.records,
        policy: &restore.policy_digest,
        nonce: &restore.nonce,
        reason: &restore.reason,
    };
    Ok(facts.transcript())
}
