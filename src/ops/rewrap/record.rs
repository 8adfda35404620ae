//! What a rewrap does with one record.

use crate::broker::Broker;
use crate::commit::{Change, Proposal, Rewrap as Swap};
use crate::error::Error;
use crate::kms::Kms;
use crate::ops::{admin, protect};
use crate::store::keks::Kek;
use crate::store::records::RecordSummary;
use crate::store::wraps::{Slot, Wrap};
use audit::event::{Event, Exposure, Kind, Outcome};
use metrics::counter;
use uuid::Uuid;

/// The broker, and the providers as background work may use them.
pub(super) type Parts<'a> = (&'a Broker, &'a Kms);

/// Out of the KEKs that it is under, and under those that its tenant wants now.
pub(super) async fn rewrap(
    (broker, kms): Parts<'_>,
    tenant: &str,
    record: &RecordSummary,
    from: &[(Wrap, Kek)],
) -> Result<(), Error> {
    broker.disk.check()?;
    let context = providers::Context::new(*protect::context_of(tenant, record)?.as_bytes());
    let keks = protect::keks_of(broker, admin::require_tenant(broker, tenant).await?.protection).await?;
    let (rewrapped, exposure) = match protect::rewrap(kms, from, &keks, &context).await {
        Some(rewrapped) => (rewrapped, Exposure::None),
        None => (through_broker(kms, from, &keks, (record.id, &context)).await, Exposure::PlaintextInBroker),
    };
    let to = match rewrapped {
        Ok(to) => to,
        Err(error) => return Err(failed(broker, tenant, record, error).await),
    };
    let swap = Swap { record: record.id, from: sorted(from), to };
    let event = protect::name_keks(about(Kind::RecordRewrapped, record), keks.iter().map(|(_, kek)| kek));
    let event = event.exposure(exposure);
    broker.committer.commit(change(tenant, record, Change::Rewrap(swap), event)).await?;
    Ok(())
}

async fn through_broker(
    kms: &Kms,
    from: &[(Wrap, Kek)],
    keks: &[(Slot, Kek)],
    (record, context): (Uuid, &providers::Context),
) -> Result<Vec<Wrap>, providers::Error> {
    let opened = protect::open(kms, from, context).await?;
    protect::wrap(kms, keks, (record, &opened.secret, context)).await
}

/// Opens every wrap of the record, and lets go of what was in it.
pub(super) async fn verify(
    (broker, kms): Parts<'_>,
    tenant: &str,
    record: &RecordSummary,
    wraps: &[(Wrap, Kek)],
) -> Result<(), Error> {
    let context = providers::Context::new(*protect::context_of(tenant, record)?.as_bytes());
    match protect::try_each(kms, wraps, &context).await.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(failed(broker, tenant, record, error).await),
    }
}

/// A wrap that does not belong to its record is an event, for somebody has touched it; the rest may pass.
async fn failed(broker: &Broker, tenant: &str, record: &RecordSummary, error: providers::Error) -> Error {
    if !matches!(error, providers::Error::Mismatch) {
        return Error::Provider(error);
    }
    counter!("keyfold_findings_total", "rule" => "wrapped_mismatch").increment(1);
    let mut finding = about(Kind::FindingRaised, record);
    finding.outcome = Outcome::from_static("wrapped_mismatch");
    match broker.committer.commit(change(tenant, record, Change::Remark, finding)).await {
        Ok(_) => Error::Provider(error),
        Err(unrecorded) => unrecorded,
    }
}

fn about(kind: Kind, record: &RecordSummary) -> Event {
    Event::new(kind, Outcome::OK).record(record.id.to_string()).user(record.user.clone()).correlation(record.id)
}

fn change(tenant: &str, record: &RecordSummary, change: Change, event: Event) -> Proposal<Change> {
    Proposal {
        tenant: tenant.into(),
        nonce: None,
        principal: None,
        change,
        event,
        refused_as: Kind::RewrapDenied,
        subject: record.user.clone(),
    }
}

/// In the order of the database, which the gate compares with.
fn sorted(wraps: &[(Wrap, Kek)]) -> Vec<Wrap> {
    let mut wraps: Vec<Wrap> = wraps.iter().map(|(wrap, _)| wrap.clone()).collect();
    wraps.sort_by_key(|wrap| wrap.slot.as_str());
    wraps
}
