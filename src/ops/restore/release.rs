//! The way of one release, top to bottom: intent, unwrap, seal, release. Only then the sealed bytes go out.

use super::approvals::{Weighed, weigh};
use super::asked::Asked;
use super::told::told;
use super::{ids, kind, own, request, restore_event};
use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::commit::{Applied, Approvers, Change, Committed, ReleaseRequest, check_standing};
use crate::error::{Error, Refusal};
use crate::kms;
use crate::ops::circumstances::Circumstances;
use crate::ops::standing::Account;
use crate::ops::{Attempt, protect};
use crate::rulebook::Rules;
use crate::store::StoreError;
use crate::store::keks::Kek;
use crate::store::records::{self, Record, Restorable};
use crate::store::restores::{Restore, RestoreState};
use audit::event::{Event, Exposure, Kind, Outcome};
use notices::Notice;
use protocol::encoding::Base64Url;
use protocol::messages::{Bundle, Release, Released, ReleasedRecord};
use protocol::record::WrappingSecret;
use protocol::sealing::{Info, SEALED_LEN, Sealed, SealingKey, seal};
use protocol::transcript::Transcript;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// For all records of one release together; well below the time after which a sweep takes it for dead.
const UNWRAP_DEADLINE: Duration = Duration::from_secs(20);

/// Releases a restore exactly once; asked again before the acknowledgement, gives the same sealed answer.
pub async fn release(broker: &Broker, caller: &DeviceCaller, id: Uuid, ask: &Release) -> Result<Released, Error> {
    broker.disk.check()?;
    let attempt = Attempt { broker, caller, refused_as: Kind::RestoreDenied };
    let event = restore_event(&attempt, Kind::RestoreIntent, id);
    let Some((restore, records)) = load(broker, caller, id).await? else {
        return Err(attempt.refuse(Refusal::RestoreUnknown, event).await);
    };
    let event = describe(event, &records);
    let rules = match caller.rules() {
        Ok(rules) => rules,
        Err(refusal) => return Err(attempt.refuse(refusal, event).await),
    };
    let mut request = request(rules.version, id, *ask.transcript.0.as_bytes(), &records);
    if restore.state == RestoreState::Released {
        return fetch_again(&attempt, request, event, &records).await;
    }
    if records.iter().any(|restorable| restorable.wraps.is_empty()) {
        return Err(attempt.refuse(Refusal::RecordShredded, event).await);
    }
    let (event, approvers) = checked_by_policy(&attempt, rules, event, (&restore, &records)).await?;
    request.approvers = approvers;
    let told = told(broker, &restore, |restore| Notice::RestoreReleased { restore }).await?;

    let begin = attempt.proposal(Change::BeginRelease(request.clone()), event.clone());
    let begun = broker.committer.commit(begin).await?;
    if let Err(error) = broker.quorum.reached(&caller.device.tenant, begun.index).await {
        return Err(abort(&attempt, &request, event, error).await);
    }
    let restore = restore_of(begun)?;
    let sealing = timeout(UNWRAP_DEADLINE, unwrap_and_seal(broker, &restore, &records)).await;
    let late = || Err(providers::Error::Unavailable { retry_after: None }.into());
    let (sealed, by) = match sealing.unwrap_or_else(|_| late()) {
        Ok(sealed) => sealed,
        Err(error) => return Err(abort(&attempt, &request, event, error).await),
    };
    let mut released = protect::name_keks(event, by).exposure(Exposure::SealedToDevice);
    released.kind = Kind::RestoreReleased;
    let finish = attempt.unspent(Change::FinishRelease(request, sealed), released);
    let committed = broker.committer.commit(finish.telling(told)).await?;
    let proof = (committed.receipt.as_ref().ok_or(Error::Interrupted)?.to_text(), committed.leaf.clone());
    answer(&restore_of(committed)?, &records, proof)
}

/// This device's restore and its records, in the transcript's order; nothing of anybody else's.
async fn load(broker: &Broker, caller: &DeviceCaller, id: Uuid) -> Result<Option<(Restore, Vec<Restorable>)>, Error> {
    let mut db = broker.store.reader().await?;
    let Some(restore) = own(&mut db, caller, id).await? else { return Ok(None) };
    let mut records = records::restorable(&mut db, &restore.records).await?;
    if records.len() != restore.records.len() {
        return Err(StoreError::Corrupt { column: "records" }.into());
    }
    records.sort_by_key(|restorable| restore.records.iter().position(|id| *id == restorable.record.id));
    Ok(Some((restore, records)))
}

/// Names the records, and the KEKs of the first: where records lie under others, their own leaves name theirs.
fn describe(event: Event, records: &[Restorable]) -> Event {
    let event = event.record(ids(records.iter().map(|restorable| restorable.record.id)));
    let keks = records.first().map(|first| &first.wraps[..]).unwrap_or_default();
    protect::name_keks(event, keks.iter().map(|(_, kek)| kek))
}

/// The event with the ids of the policies that allow it and the names of those who approved, whom the gate looks at again;
/// where something is missing, the refusal, recorded.
async fn checked_by_policy(
    attempt: &Attempt<'_>,
    rules: &Arc<Rules>,
    event: Event,
    (restore, records): (&Restore, &[Restorable]),
) -> Result<(Event, Approvers), Error> {
    let (broker, caller) = (attempt.broker, attempt.caller);
    let (device, membership) = (caller.device.clone(), caller.membership);
    if check_standing(&device, &membership).is_err() {
        return Ok((event, Approvers::default())); // The gate says so, and says why.
    }
    let records = records.iter().map(|restorable| (restorable.record.summary(), restorable.newest)).collect();
    let mut db = broker.store.reader().await?;
    let owner = (&*device.tenant, &*device.user);
    let account = Account::load(broker, &mut db, owner, rules.set.asks_for_reporting_lines()).await?;
    let login_at = Circumstances::when_asked(&broker.keys, restore)?.login_at;
    let (restored, circumstances) = (restore.clone(), Circumstances::of(broker, &caller.source).after(login_at));
    let asked = Asked { restore: restored, rules: rules.clone(), device, membership, account, circumstances, records };
    let weighed = weigh(broker, &mut db, &asked).await;
    drop(db); // The commit may need a reader of its own, and there are few.
    let weighed = match weighed {
        Ok(weighed) => weighed,
        Err(Error::Refused(refusal)) => return Err(attempt.refuse(refusal, event).await),
        Err(error) => return Err(error),
    };
    let event = event.policy(weighed.decision.determined_by.join(" "));
    let event = match weighed.names() {
        names if names.is_empty() => event,
        names => event.actor(names),
    };
    match refusal(&weighed, restore) {
        None => Ok((event, weighed.approvers())),
        Some(refusal) => Err(attempt.refuse(refusal, event).await),
    }
}

fn refusal(weighed: &Weighed, restore: &Restore) -> Option<Refusal> {
    match (weighed.decision.allowed, weighed.missing.nothing()) {
        (true, true) => None,
        (false, _) => Some(Refusal::PolicyDenied),
        (true, false) if restore.state.is_open() => Some(Refusal::RestorePending),
        (true, false) => Some(Refusal::RestoreOver),
    }
}

async fn fetch_again(
    attempt: &Attempt<'_>,
    request: ReleaseRequest,
    event: Event,
    records: &[Restorable],
) -> Result<Released, Error> {
    let mut event = event.exposure(Exposure::SealedToDevice);
    event.kind = Kind::RestoreFetched;
    let broker = attempt.broker;
    let fetched = broker.committer.commit(attempt.proposal(Change::FetchAgain(request), event)).await?;
    broker.quorum.reached(&attempt.caller.device.tenant, fetched.index).await?;
    let restore = restore_of(fetched)?;
    let leaf_index = restore.leaf_index.ok_or(StoreError::Corrupt { column: "leaf_index" })?;
    let proof = crate::ops::log::receipt(broker, &restore.tenant, leaf_index).await?;
    answer(&restore, records, proof)
}

fn restore_of(committed: Committed) -> Result<Restore, Error> {
    match committed.applied {
        Applied::Restore(restore) => Ok(*restore),
        Applied::Done | Applied::Revoked { .. } => Err(Error::Interrupted),
    }
}

/// Each record out of its KEKs and at once into the key of this restore; no plaintext outlives its turn. Tells also which
/// KEKs opened the first.
async fn unwrap_and_seal<'r>(
    broker: &Broker,
    restore: &Restore,
    records: &'r [Restorable],
) -> Result<(Vec<u8>, Vec<&'r Kek>), Error> {
    let receive_key =
        SealingKey::try_from(restore.receive_key.clone()).map_err(|_| StoreError::Corrupt { column: "receive_key" })?;
    let transcript = Transcript::from(restore.transcript);
    let mut sealed = Vec::with_capacity(records.len() * SEALED_LEN);
    let mut first = None;
    for Restorable { record, wraps, .. } in records {
        let context = protect::context_of(&record.tenant, &record.summary())?;
        let opened = protect::open(&broker.kms, wraps, &providers::Context::new(*context.as_bytes())).await?;
        let secret = WrappingSecret::try_from(opened.secret).map_err(|_| providers::Error::Mismatch)?;
        first.get_or_insert(opened.by);
        let payload = secret.payload(&context);
        let one = seal(&receive_key, &Info::release(&context, &transcript), &payload)
            .expect("invariant: a payload is a wrapping secret and a context");
        sealed.extend_from_slice(one.as_ref());
    }
    Ok((sealed, first.unwrap_or_default()))
}

/// Nothing was released: the intent gets its outcome, and the restore its chance, where trying again can help.
async fn abort(attempt: &Attempt<'_>, request: &ReleaseRequest, event: Event, error: Error) -> Error {
    let (reason, retryable) = match &error {
        Error::Provider(error) => (kms::code(error), may_pass(error)),
        Error::Refused(refusal) => (refusal.as_str(), false),
        Error::WitnessUnavailable => ("witness_unavailable", true),
        _ => ("internal", true),
    };
    let mut failed = event.clone();
    failed.kind = Kind::RestoreFailed;
    failed.outcome = Outcome::from_static(reason);
    let change = Change::AbortRelease { restore: request.restore, flight: request.flight, retryable };
    if let Err(unrecorded) = attempt.broker.committer.commit(attempt.system(change, failed)).await {
        return unrecorded;
    }
    if let Error::Provider(providers::Error::Mismatch) = &error {
        raise_alarm(attempt, event).await;
    }
    error
}

fn may_pass(error: &providers::Error) -> bool {
    match error {
        providers::Error::Mismatch => false,
        providers::Error::NoSuchKey
        | providers::Error::KeyUnusable(_)
        | providers::Error::Refused
        | providers::Error::Throttled { .. }
        | providers::Error::Unavailable { .. }
        | providers::Error::Broken(_) => true,
    }
}

/// A wrapped record that does not belong to its name was moved or altered: somebody should look.
async fn raise_alarm(attempt: &Attempt<'_>, event: Event) {
    let mut finding = event;
    finding.kind = Kind::FindingRaised;
    finding.outcome = Outcome::from_static("wrapped_mismatch");
    metrics::counter!("keyfold_findings_total", "rule" => "wrapped_mismatch").increment(1);
    if let Err(error) = attempt.broker.committer.commit(attempt.system(Change::Remark, finding)).await {
        tracing::error!(error = &error as &dyn std::error::Error, "a finding could not be recorded");
    }
}

fn answer(restore: &Restore, records: &[Restorable], (receipt, leaf): (String, String)) -> Result<Released, Error> {
    let sealed = restore.answer.as_deref().ok_or(StoreError::Corrupt { column: "answer" })?;
    let parts =
        records.iter().zip(sealed.chunks_exact(SEALED_LEN)).map(|(restorable, part)| part_of(&restorable.record, part));
    Ok(Released { records: parts.collect::<Result<_, _>>()?, receipt, leaf })
}

fn part_of(record: &Record, sealed: &[u8]) -> Result<ReleasedRecord, Error> {
    let corrupt = |column| Error::Store(StoreError::Corrupt { column });
    Ok(ReleasedRecord {
        record: record.id,
        kind: kind(&record.kind)?,
        generation: record.generation,
        suite: record.suite,
        device: record.device,
        sealed: Base64Url(Sealed::try_from(sealed.to_vec()).map_err(|_| corrupt("answer"))?),
        commitment: Base64Url(record.commitment),
        bundle: Base64Url(Bundle::try_from(record.bundle.clone()).map_err(|_| corrupt("bundle"))?),
    })
}
