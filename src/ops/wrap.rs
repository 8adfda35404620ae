//! A device backs up a record: its wrapping secret goes under the customer's KEK.

use super::Attempt;
use super::circumstances::Circumstances;
use super::protect::{self, Keks};
use super::standing::{self, Account, Asking};
use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::clock::Timestamp;
use crate::commit::{Change, Committed, check_standing};
use crate::error::{Error, Refusal};
use crate::keys::TenantKeys;
use crate::kms;
use crate::store::records::{self, Record};
use crate::store::wraps::Wrap as StoredWrap;
use audit::event::{Event, Exposure, Kind, Outcome};
use policies::{Action, RecordFacts};
use protocol::messages::{Wrap, Wrapped};
use protocol::names::UserId;
use protocol::record::{RecordName, SUITE, WrappingSecret};
use protocol::sealing::Info;
use secret::Secret;

/// What the database can hold.
const MAX_GENERATION: u64 = i64::MAX.unsigned_abs();

/// Takes the backup; answers when record and leaf are durable. Sending the same again gives the same answer.
pub async fn wrap(broker: &Broker, caller: &DeviceCaller, wrap: Wrap) -> Result<Wrapped, Error> {
    broker.disk.check()?;
    if wrap.suite != SUITE || wrap.generation > MAX_GENERATION {
        return Err(Error::Malformed("`suite` or `generation` is out of range"));
    }
    let attempt = Attempt { broker, caller, refused_as: Kind::WrapDenied };
    let event = event(&attempt, &wrap);
    let name = name(caller, &wrap)?;
    let (keks, secret, policies) = match admit(broker, caller, &wrap, &name).await {
        Ok(admitted) => admitted,
        Err(Error::Refused(refusal)) => return Err(attempt.refuse(refusal, event).await),
        Err(error) => return Err(error),
    };
    if let Some(stored) = stored_before(broker, caller, &wrap).await? {
        let (receipt, leaf) = super::log::receipt(broker, &stored.tenant, stored.leaf_index).await?;
        return Ok(Wrapped { record: stored.id, generation: stored.generation, receipt, leaf });
    }
    let event = protect::name_keks(event.policy(policies), keks.iter().map(|(_, kek)| kek));
    let context = providers::Context::new(*name.context().as_bytes());
    let wraps = match protect::wrap(&broker.kms, &keks, (wrap.record, &secret, &context)).await {
        Ok(wraps) => wraps,
        Err(error) => return Err(fail(&attempt, event, error).await),
    };
    drop(secret);
    let record = record(broker, caller, &wrap);
    let committed = store(&attempt, &record, wraps, event).await?;
    answer(&record, committed)
}

fn event(attempt: &Attempt<'_>, wrap: &Wrap) -> Event {
    attempt.event(Kind::RecordWrapped).record(wrap.record.to_string()).correlation(wrap.record)
}

fn name(caller: &DeviceCaller, wrap: &Wrap) -> Result<RecordName, Error> {
    Ok(RecordName {
        tenant: caller.tenant.clone(),
        user: user_id(&caller.device.user)?,
        kind: wrap.kind.clone(),
        generation: wrap.generation,
        record: wrap.record,
        device: caller.device.id,
        suite: wrap.suite,
    })
}

/// The stored name in the protocol's type; it was checked when it was stored.
pub(super) fn user_id(user: &str) -> Result<UserId, Error> {
    user.parse().map_err(|_| Error::Store(crate::store::StoreError::Corrupt { column: "user_id" }))
}

/// What must hold before the provider is asked: standing, policy, a KEK, and a secret that is for this record. The last
/// of what it gives are the ids of the policies that decided.
async fn admit(
    broker: &Broker,
    caller: &DeviceCaller,
    wrap: &Wrap,
    name: &RecordName,
) -> Result<(Keks, Secret, String), Error> {
    let (device, membership) = (&caller.device, &caller.membership);
    check_standing(device, membership)?;
    let record =
        RecordFacts { owner: &device.user, kind: wrap.kind.as_str(), generation: wrap.generation, newest: true };
    let (rules, owner) = (caller.rules()?, (&*device.tenant, &*device.user));
    let lines = rules.set.asks_for_reporting_lines();
    let account = &Account::load(broker, &mut *broker.store.reader().await?, owner, lines).await?;
    let circumstances = &Circumstances::of(broker, &caller.source);
    let asking = Asking { device, membership, account, circumstances };
    let decision = standing::decide(broker.clock.now(), rules, asking, (Action::Wrap, &[record]));
    if !decision.allowed {
        return Err(Refusal::PolicyDenied.into());
    }
    let keks = protect::keks_of(broker, membership.protection).await?;
    let keys = broker.keys.of_tenant(&device.tenant).await?;
    Ok((keks, open(&keys, wrap, name, broker.clock.now())?, decision.determined_by.join(" ")))
}

fn open(keys: &TenantKeys, wrap: &Wrap, name: &RecordName, now: Timestamp) -> Result<Secret, Refusal> {
    let ingress = keys.accepted(wrap.ingress.as_str(), now).ok_or(Refusal::StaleIngress)?;
    let context = name.context();
    let payload = ingress.opening.open(&Info::wrap(&context), &wrap.sealed.0).map_err(|_| Refusal::SealedInvalid)?;
    let secret = WrappingSecret::from_payload(payload, &context).map_err(|_| Refusal::SealedInvalid)?;
    Ok(secret.into())
}

/// The provider did not wrap: that is an event too.
async fn fail(attempt: &Attempt<'_>, event: Event, error: providers::Error) -> Error {
    let mut event = event.exposure(Exposure::PlaintextInBroker);
    event.kind = Kind::WrapFailed;
    event.outcome = Outcome::from_static(kms::code(&error));
    match attempt.broker.committer.commit(attempt.proposal(Change::Remark, event)).await {
        Ok(_) => Error::Provider(error),
        Err(unrecorded) => unrecorded,
    }
}

fn record(broker: &Broker, caller: &DeviceCaller, wrap: &Wrap) -> Record {
    Record {
        id: wrap.record,
        tenant: caller.device.tenant.clone(),
        user: caller.device.user.clone(),
        kind: wrap.kind.as_str().into(),
        generation: wrap.generation,
        device: caller.device.id,
        suite: wrap.suite,
        commitment: wrap.commitment.0,
        bundle: wrap.bundle.0.as_ref().to_vec(),
        leaf_index: 0,
        created_at: broker.clock.now(),
    }
}

/// The stored record, if this request stored it before: its answer got lost on the way.
async fn stored_before(broker: &Broker, caller: &DeviceCaller, wrap: &Wrap) -> Result<Option<Record>, Error> {
    let stored = records::find_all(&mut *broker.store.reader().await?, &[wrap.record]).await?.pop();
    Ok(stored.filter(|stored| {
        (&stored.tenant, &stored.user, stored.device) == (&caller.device.tenant, &caller.device.user, caller.device.id)
            && (stored.kind.as_str(), stored.generation) == (wrap.kind.as_str(), wrap.generation)
            && stored.commitment == wrap.commitment.0
            && stored.bundle == wrap.bundle.0.as_ref()
    }))
}

async fn store(
    attempt: &Attempt<'_>,
    record: &Record,
    wraps: Vec<StoredWrap>,
    event: Event,
) -> Result<Committed, Error> {
    let event = event.exposure(Exposure::PlaintextInBroker);
    let change = Change::StoreRecord(Box::new(record.clone()), wraps);
    attempt.broker.committer.commit(attempt.proposal(change, event)).await
}

fn answer(record: &Record, committed: Committed) -> Result<Wrapped, Error> {
    let receipt = committed.receipt.ok_or(Error::Interrupted)?;
    Ok(Wrapped { record: record.id, generation: record.generation, receipt: receipt.to_text(), leaf: committed.leaf })
}
